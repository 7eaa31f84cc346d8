/** Options described once: parsing, defaults and help come from one table. */
import { CliError } from './cli-error.ts';
import { formatSize, parseSize } from './size.ts';

/** One option of a command. */
export interface Option<T> {
  /** What the help puts behind the name: 'SIZE'; null for a flag, which takes no value. */
  readonly placeholder: string | null;
  readonly help: string;
  /** The value where the option is not given. */
  readonly fallback: T;
  /** The default as the help shows it; '' for none. */
  readonly fallbackText: string;
  /** @throws CliError */
  readonly parse: (name: string, text: string) => T;
  /** The option may be given several times: puts the next value to the earlier ones. */
  merge?(earlier: T, next: T): T;
}

/** The options of a command by their names. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** What parsing a table gives. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Option<infer T> ? T : never;
};

/** Text that may be left out. */
export function text(placeholder: string, help: string): Option<string | undefined> {
  return {
    placeholder,
    help,
    fallback: undefined,
    fallbackText: '',
    parse(name, given) {
      if (given === '' || given.includes('\0')) {
        throw new CliError(`--${name}: give a ${placeholder}, not an empty one`);
      }
      return given;
    },
  };
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[], fallback: Word, help: string): Option<Word> {
  return {
    placeholder: words.join('|'),
    help,
    fallback,
    fallbackText: fallback,
    parse(name, given) {
      const word = words.find((candidate) => candidate === given);
      if (word === undefined) {
        throw new CliError(`--${name}=${given}: give one of ${words.join(', ')}`);
      }
      return word;
    },
  };
}

/** Bytes, with a suffix. */
export function size(fallback: number, help: string): Option<number> {
  return { placeholder: 'SIZE', help, fallback, fallbackText: formatSize(fallback), parse: parseSize };
}

/** A whole number in a range. */
export function count(least: number, most: number, fallback: number, help: string): Option<number> {
  const parse = countParser(least, most);
  return { placeholder: 'N', help, fallback, fallbackText: String(fallback), parse };
}

/** A whole number in a range that may be left out. */
export function optionalCount(least: number, most: number, help: string): Option<number | undefined> {
  return { placeholder: 'N', help, fallback: undefined, fallbackText: '', parse: countParser(least, most) };
}

/** Values divided by commas, or 'none'. @param parse - one value; what it throws passes through */
export function list<T>(
  placeholder: string,
  fallbackText: string,
  help: string,
  parse: (name: string, given: string) => T,
): Option<readonly T[]> {
  const parseAll = (name: string, given: string): readonly T[] =>
    given === 'none' ? [] : given.split(',').map((one) => parse(name, one));
  return { placeholder, help, fallback: parseAll('', fallbackText), fallbackText, parse: parseAll };
}

/** An option that may be given several times: its values in their order. */
export function repeated<T>(
  placeholder: string,
  help: string,
  parse: (name: string, given: string) => T,
): Option<readonly T[]> {
  return {
    placeholder,
    help,
    fallback: [],
    fallbackText: '',
    parse: (name, given) => [parse(name, given)],
    merge: (earlier, next) => [...earlier, ...next],
  };
}

/** True when given. */
export function flag(help: string): Option<boolean> {
  return { placeholder: null, help, fallback: false, fallbackText: '', parse: () => true };
}

function countParser(least: number, most: number): (name: string, given: string) => number {
  return (name, given) => {
    const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
    if (!(value >= least && value <= most)) {
      throw new CliError(`--${name}=${given}: give a whole number from ${least} to ${most}`);
    }
    return value;
  };
}
