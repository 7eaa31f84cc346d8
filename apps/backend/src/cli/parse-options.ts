/** From arguments to typed values, by `node:util` parseArgs and a table. */
import { parseArgs } from 'node:util';
import { CliError } from './cli-error.ts';
import type { OptionTable, OptionValues } from './option.ts';

/** The arguments of a command as values; what is not given has its default. */
export interface ParsedOptions<Table extends OptionTable> {
  readonly values: OptionValues<Table>;
  /** What was given, by name, as text; '' for flags. */
  readonly given: ReadonlyMap<string, string>;
  /** Words that belong to no option. */
  readonly words: readonly string[];
}

/**
 * Parses `--name value`, `--name=value` and `--flag`.
 * @throws CliError in one line: an unknown option (with the known ones), a missing or a bad value, a stray word
 */
export function parseOptions<Table extends OptionTable>(table: Table, args: readonly string[]): ParsedOptions<Table> {
  const parsed = parseWords(table, args);
  if (parsed.words.length > 0) {
    throw new CliError(`'${parsed.words[0]}' belongs to no option: options begin with --`);
  }
  return parsed;
}

/** The same where words may stand between the options. @throws CliError */
export function parseWords<Table extends OptionTable>(table: Table, args: readonly string[]): ParsedOptions<Table> {
  const names = Object.keys(table);
  const options = Object.fromEntries(
    names.map((name) => [
      name,
      { type: table[name]!.placeholder === null ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, table[name]!.fallback]));
  const given = new Map<string, string>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') {
      words.push(token.value);
      continue;
    }
    if (token.kind === 'option-terminator') {
      continue;
    }
    const option = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (option === undefined) {
      throw new CliError(`unknown option ${token.rawName}: known are ${names.map((name) => `--${name}`).join(' ')}`);
    }
    if (given.has(token.name) && option.merge === undefined) {
      throw new CliError(`--${token.name} is given twice: give it once`);
    }
    if (option.placeholder === null && token.value !== undefined) {
      throw new CliError(`--${token.name} takes no value: write --${token.name} alone, or leave it out`);
    }
    if (option.placeholder !== null && token.value === undefined) {
      throw new CliError(`--${token.name} wants a value: ${option.placeholder}`);
    }
    const value = option.parse(token.name, token.value ?? '');
    values[token.name] = option.merge === undefined ? value : option.merge(values[token.name], value);
    given.set(token.name, token.value ?? '');
  }
  return { values: values as OptionValues<Table>, given, words };
}
