export class DeltaMalformed extends Error {
  constructor(what: string) {
    super(`it is malformed: ${what}`);
    this.name = 'DeltaMalformed';
  }
}
