/**
 * Patterns of `--grep`: the everyday part of extended regular expressions (POSIX.1-2017 §9.4), matched by all their
 * states at once (Thompson 1968). A match takes time in proportion to text times pattern, whatever either holds: no
 * text of a service and no pattern can hang the reader.
 */
export interface Pattern {
  /** Whether it occurs anywhere in the text. */
  matches(text: string): boolean;
}

export const PATTERN_CHARACTERS = 200;

type Test = (character: string) => boolean;
type State =
  | { kind: 'character'; test: Test; next: number }
  | { kind: 'either'; next: number; other: number }
  | { kind: 'start' | 'end'; next: number }
  | { kind: 'found' };

/** The pattern, or what cannot be read in it, in a few words. */
export function compilePattern(text: string): Pattern | string {
  if (text === '') return 'it is empty';
  if ([...text].length > PATTERN_CHARACTERS) return `it has more than ${PATTERN_CHARACTERS} characters`;
  const compiler = new Compiler([...text]);
  try {
    const first = compiler.whole();
    return { matches: (line) => search(compiler.states, first, line) };
  } catch (error) {
    if (error instanceof PatternFault) return error.message;
    throw error;
  }
}

class PatternFault extends Error {}

/** Recursive descent from the end of a part to its beginning: each part is told what comes after it. */
type Part = (next: number) => number;

const CLASSES: Record<string, Test> = {
  d: (character) => /^[0-9]$/.test(character),
  w: (character) => /^[A-Za-z0-9_]$/.test(character),
  s: (character) => /^\s$/.test(character),
};

class Compiler {
  readonly states: State[] = [];
  readonly #characters: string[];
  #at = 0;

  constructor(characters: string[]) {
    this.#characters = characters;
  }

  whole(): number {
    const part = this.#choice();
    if (this.#at < this.#characters.length) throw new PatternFault('a ")" has no "("; write \\)');
    return part(this.#add({ kind: 'found' }));
  }

  #choice(): Part {
    const part = this.#sequence();
    if (this.#peek() !== '|') return part;
    this.#at += 1;
    const rest = this.#choice();
    return (next) => this.#add({ kind: 'either', next: part(next), other: rest(next) });
  }

  #sequence(): Part {
    const parts: Part[] = [];
    for (let each = this.#peek(); each !== undefined && each !== '|' && each !== ')'; each = this.#peek())
      parts.push(this.#repeated());
    return (next) => parts.reduceRight((after, part) => part(after), next);
  }

  #repeated(): Part {
    let part = this.#atom();
    for (let sign = this.#peek(); sign === '*' || sign === '+' || sign === '?'; sign = this.#peek()) {
      this.#at += 1;
      part = this.#repeat(part, sign);
    }
    return part;
  }

  #repeat(part: Part, sign: '*' | '+' | '?'): Part {
    if (sign === '?') return (next) => this.#add({ kind: 'either', next: part(next), other: next });
    return (next) => {
      const loop = this.#add({ kind: 'either', next, other: next });
      const first = part(loop);
      this.states[loop] = { kind: 'either', next: first, other: next };
      return sign === '+' ? first : loop;
    };
  }

  #atom(): Part {
    const character = this.#take();
    switch (character) {
      case '(':
        return this.#group();
      case '[':
        return this.#one(this.#set());
      case '.':
        return this.#one(() => true);
      case '^':
        return (next) => this.#add({ kind: 'start', next });
      case '$':
        return (next) => this.#add({ kind: 'end', next });
      case '\\':
        return this.#one(this.#escape());
      case '*':
      case '+':
      case '?':
        throw new PatternFault(`"${character}" has nothing to repeat; write \\${character}`);
      case '{':
        throw new PatternFault('counts like {3} are not known; write the part again, or \\{');
      default:
        return this.#one((other) => other === character);
    }
  }

  #group(): Part {
    if (this.#peek() === '?') throw new PatternFault('"(?" is not known: there is no looking around');
    const part = this.#choice();
    if (this.#peek() !== ')') throw new PatternFault('a "(" has no ")"; write \\(');
    this.#at += 1;
    return part;
  }

  #set(): Test {
    const isNot = this.#peek() === '^';
    if (isNot) this.#at += 1;
    const tests: Test[] = [];
    // POSIX: a bracket that comes first is one of the set.
    for (let isFirst = true; isFirst || this.#peek() !== ']'; isFirst = false) {
      const from = this.#take();
      if (from === undefined) throw new PatternFault('a "[" has no "]"; write \\[');
      if (from === '\\') tests.push(this.#escape());
      else tests.push(this.#range(from));
    }
    this.#at += 1;
    const isIn: Test = (character) => tests.some((test) => test(character));
    return isNot ? (character) => !isIn(character) : isIn;
  }

  #range(from: string): Test {
    const to = this.#characters[this.#at + 1];
    if (this.#peek() !== '-' || to === undefined || to === ']') return (character) => character === from;
    this.#at += 2;
    if (codeOf(to) < codeOf(from)) throw new PatternFault(`the range ${from}-${to} is the wrong way round`);
    return (character) => codeOf(character) >= codeOf(from) && codeOf(character) <= codeOf(to);
  }

  #escape(): Test {
    const character = this.#take();
    if (character === undefined) throw new PatternFault('it ends with a "\\"; write \\\\');
    const known = CLASSES[character];
    if (known) return known;
    const opposite = CLASSES[character.toLowerCase()];
    if (opposite) return (other) => !opposite(other);
    if (character === 't') return (other) => other === '\t';
    if (/[A-Za-z0-9]/.test(character)) throw new PatternFault(`"\\${character}" is not known`);
    return (other) => other === character;
  }

  #one(test: Test): Part {
    return (next) => this.#add({ kind: 'character', test, next });
  }

  #add(state: State): number {
    return this.states.push(state) - 1;
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(): string | undefined {
    const character = this.#peek();
    this.#at += 1;
    return character;
  }
}

const codeOf = (character: string): number => character.codePointAt(0) ?? 0;

function search(states: readonly State[], first: number, text: string): boolean {
  const characters = [...text];
  let now = new Set<number>();
  for (let at = 0; at <= characters.length; at++) {
    // It may begin anywhere.
    if (enter(states, now, first, at, characters.length)) return true;
    const character = characters[at];
    if (character === undefined) return false;
    const then = new Set<number>();
    for (const index of now) {
      const state = states[index];
      if (state?.kind !== 'character' || !state.test(character)) continue;
      if (enter(states, then, state.next, at + 1, characters.length)) return true;
    }
    now = then;
  }
  return false;
}

/** Adds a state and all that it leads to without a character; whether that is the end of the pattern. */
function enter(
  states: readonly State[],
  into: Set<number>,
  first: number,
  at: number,
  length: number,
): boolean {
  const waiting = [first];
  for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
    if (into.has(index)) continue;
    into.add(index);
    const state = states[index];
    if (state?.kind === 'found') return true;
    if (state?.kind === 'either') waiting.push(state.next, state.other);
    if (state?.kind === 'start' && at === 0) waiting.push(state.next);
    if (state?.kind === 'end' && at === length) waiting.push(state.next);
  }
  return false;
}
