import { type FormEvent, useEffect, useRef, useState } from 'react';
import { api, remotePaths } from '../../../api/endpoints.ts';
import { remoteEvents } from '../../../api/remote-stream.ts';
import type { RemoteEvent } from '../../../api/types.ts';
import { EMPTY_TERMINAL, type TerminalText, writeTerminal } from '../../../derive/terminal-text.ts';
import { clock } from '../../../format/time.ts';
import { Failure } from '../../../ui/load.tsx';
import { Ended } from './ended.tsx';
import { useStickyEnd } from './sticky-end.ts';

type End = Extract<RemoteEvent, { end: unknown }>['end'];
type Begun = Extract<RemoteEvent, { begun: unknown }>['begun'];

const SHELL = '/bin/sh';
const ROWS = 24;
const INTERRUPT = '\x03';
const END_OF_INPUT = '\x04';

/** A program in the service's container, line by line; it ends with its page. */
export function Terminal({ device, service }: { device: string; service: string }) {
  const [argv, setArgv] = useState<string[]>();
  const [command, setCommand] = useState(SHELL);
  const [round, setRound] = useState(0);
  const run = (event: FormEvent) => {
    event.preventDefault();
    setArgv(command.trim().split(/\s+/));
    setRound((number) => number + 1);
  };
  return (
    <section className="stack-tight" aria-label={`Terminal in ${service}`}>
      <form className="remote-command" onSubmit={run}>
        <label className="field">
          <span>Program in {service}, split at spaces</span>
          <input
            className="input mono"
            value={command}
            required
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            onChange={(event) => setCommand(event.target.value)}
          />
        </label>
        <button
          type="submit"
          className={argv ? 'button' : 'button button-main'}
          disabled={command.trim() === ''}
        >
          {argv ? 'Run again' : 'Run'}
        </button>
      </form>
      {argv ? (
        <Program key={round} device={device} service={service} argv={argv} />
      ) : (
        <p className="small soft">
          It runs with the rights of the service and nothing more, and ends when this page is left.
        </p>
      )}
    </section>
  );
}

interface ProgramProps {
  device: string;
  service: string;
  argv: string[];
}

function Program({ device, service, argv }: ProgramProps) {
  const { screen, begun, end, error, leave } = useProgram(device, service, argv);
  const box = useStickyEnd(screen.text);
  const [refused, setRefused] = useState<Error>();
  const isRunning = begun !== undefined && end === undefined && error === undefined;
  const type = (input: string) => {
    if (begun) api.typeIn(device, begun.session, { input }).catch(setRefused);
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre className="terminal" ref={box} tabIndex={0} role="log" aria-label={`Screen of ${argv[0] ?? ''}`}>
        {screen.text}
        {isRunning ? <span className="terminal-cursor" aria-hidden="true" /> : null}
      </pre>
      {isRunning ? <Keyboard type={type} leave={leave} endsAt={begun.endsAt} /> : null}
      {error || refused ? <Failure error={error ?? (refused as Error)} /> : null}
      {end ? <HowItEnded {...end} /> : null}
    </>
  );
}

function HowItEnded({ code, message, exitCode }: End) {
  if (code !== 'done') return <Ended code={code} message={message} />;
  return (
    <p className="small soft" role="status">
      {exitCode === undefined ? 'Ended.' : `Ended with exit code ${exitCode}.`}
    </p>
  );
}

interface KeyboardProps {
  type: (input: string) => void;
  leave: () => void;
  endsAt: number;
}

function Keyboard({ type, leave, endsAt }: KeyboardProps) {
  const [line, setLine] = useState('');
  return (
    <div className="stack-tight">
      <form
        className="terminal-line"
        onSubmit={(event) => {
          event.preventDefault();
          type(`${line}\r`);
          setLine('');
        }}
      >
        <span aria-hidden="true" className="mono soft">
          ›
        </span>
        <input
          className="input mono"
          aria-label="Line to type"
          value={line}
          // It was opened to be typed to.
          // biome-ignore lint/a11y/noAutofocus: see above
          autoFocus
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          onChange={(event) => setLine(event.target.value)}
        />
        <button type="submit" className="button">
          Enter
        </button>
      </form>
      <div className="cluster">
        <button type="button" className="button" onClick={() => type(INTERRUPT)}>
          Ctrl-C
        </button>
        <button type="button" className="button" onClick={() => type(END_OF_INPUT)}>
          Ctrl-D
        </button>
        <button type="button" className="button" onClick={leave}>
          End
        </button>
        <span className="small soft">Ends at {clock(endsAt)} at the latest</span>
      </div>
    </div>
  );
}

function useProgram(device: string, service: string, argv: string[]) {
  const [screen, setScreen] = useState<TerminalText>(EMPTY_TERMINAL);
  const [begun, setBegun] = useState<Begun>();
  const [end, setEnd] = useState<End>();
  const [error, setError] = useState<Error>();
  const gone = useRef<AbortController>(undefined);
  useEffect(() => {
    const left = new AbortController();
    gone.current = left;
    const decoder = new TextDecoder();
    const body = { argv, terminal: { columns: columnsHere(), rows: ROWS } };
    const path = remotePaths.exec(device, service);
    const read = async () => {
      for await (const event of remoteEvents({ method: 'POST', path, body, signal: left.signal })) {
        if ('begun' in event) setBegun(event.begun);
        if ('end' in event) setEnd(event.end);
        if (!('data' in event)) continue;
        const bytes = Uint8Array.from(atob(event.data), (character) => character.charCodeAt(0));
        const text = decoder.decode(bytes, { stream: true });
        setScreen((before) => writeTerminal(before, text));
      }
    };
    read().catch((failure: Error) => {
      if (left.signal.aborted) setEnd({ code: 'done', message: '' });
      else setError(failure);
    });
    return () => left.abort();
  }, [device, service, argv]);
  return { screen, begun, end, error, leave: () => gone.current?.abort() };
}

/** As many as a line of the page holds in the terminal's letters. */
function columnsHere(): number {
  const width = Math.min(window.innerWidth, 1100) - 90;
  return Math.max(30, Math.min(120, Math.floor(width / 8)));
}
