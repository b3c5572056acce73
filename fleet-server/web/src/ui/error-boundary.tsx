import { Component, type ReactNode } from 'react';
import { Failure } from './load.tsx';

/** `resetKey` changes with the page, so that leaving a broken page also leaves its error. */
interface Props {
  resetKey: string;
  children: ReactNode;
}
interface State {
  error?: Error;
  resetKey: string;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { resetKey: this.props.resetKey };

  static getDerivedStateFromError(error: Error): Partial<State> {
    return { error };
  }

  static getDerivedStateFromProps(props: Props, state: State): State | null {
    return props.resetKey === state.resetKey ? null : { resetKey: props.resetKey };
  }

  override render() {
    const { error } = this.state;
    return error ? <Failure error={error} retry={() => window.location.reload()} /> : this.props.children;
  }
}
