/** `-o opt,opt=value`, `-d`, `-f`, `--socket`: how virtiofsd was given its options when QEMU had it, as the options of today. */
import { CliError } from './cli-error.ts';
import type { OptionTable } from './option.ts';

/** Words that have another name today. */
const RENAMED: ReadonlyMap<string, string> = new Map([['source', 'shared-dir']]);
/** Values of today for those of then. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['cache=none', 'never'],
  ['log_level=err', 'error'],
]);
/** Options of today for those of then. */
const OPTIONS: ReadonlyMap<string, string> = new Map([
  ['-d', '--log-level=debug'],
  ['--inode-file-handles=fallback', '--inode-file-handles=prefer'],
]);

/**
 * One word; `no_xattr` and `readdirplus` say what is so without them.
 * @param unwanted - gets the option that such a word takes back
 * @throws CliError
 */
function today(table: OptionTable, word: string, unwanted: Map<string, string>): string[] {
  const at = word.indexOf('=');
  const then = at < 0 ? word : word.slice(0, at);
  const value = at < 0 ? null : word.slice(at + 1);
  const name = RENAMED.get(then) ?? then.replaceAll('_', '-');
  if (Object.hasOwn(table, name)) {
    return [value === null ? `--${name}` : `--${name}=${VALUES.get(word) ?? value}`];
  }
  const opposite = name.startsWith('no-') ? name.slice('no-'.length) : `no-${name}`;
  if (value !== null || !Object.hasOwn(table, opposite) || table[opposite]!.placeholder !== null) {
    throw new CliError(`-o ${then}: unknown: give the options by their names, see --help`);
  }
  unwanted.set(`--${opposite}`, then);
  return [];
}

/** An option without `-o`; its value may be the next argument. */
function plain(arg: string): string[] {
  // In the foreground is where it always is.
  return arg === '-f' ? [] : [OPTIONS.get(arg) ?? arg.replace(/^--socket(?==|$)/, '--socket-path')];
}

/**
 * Puts the options of today in the place of `-o ...`; a doubled comma belongs to a value.
 * @throws CliError for a word that is none, or that another one takes back
 */
export function withoutLegacy(table: OptionTable, args: readonly string[]): string[] {
  const all: string[] = [];
  const unwanted = new Map<string, string>();
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!;
    if (!arg.startsWith('-o')) {
      all.push(...plain(arg));
      continue;
    }
    const text = arg.length > 2 ? arg.slice(2) : args[++index];
    if (text === undefined || text === '') {
      throw new CliError('-o wants a value: option,option=value');
    }
    // A comma of a value is kept by a character that no option has.
    const words = text.replaceAll(',,', '\0').split(',');
    all.push(...words.flatMap((word) => today(table, word.replaceAll('\0', ','), unwanted)));
  }
  for (const [option, word] of unwanted) {
    if (all.includes(option)) throw new CliError(`-o ${word} and ${option} contradict each other: give one of them`);
  }
  return all;
}
