/** `-o opt,opt=value`, `-d` and `-f`: how virtiofsd was given its options when QEMU had it, as the options of today. */
import { CliError } from './cli-error.ts';
import type { OptionTable } from './option.ts';

/** Words that have another name today. */
const RENAMED: Readonly<Record<string, string>> = {
  source: 'shared-dir',
  no_xattr: '',
  no_posix_lock: '',
  no_flock: '',
};
/** Values of today for those of then. */
const VALUES: Readonly<Record<string, string>> = { 'cache=none': 'never', 'log_level=err': 'error' };

/** One word. @throws CliError */
function today(table: OptionTable, word: string): string[] {
  const at = word.indexOf('=');
  const then = at < 0 ? word : word.slice(0, at);
  const value = at < 0 ? null : word.slice(at + 1);
  const name = RENAMED[then] ?? then.replaceAll('_', '-');
  if (name === '') {
    return [];
  }
  const base = name.replace(/^no-/, '');
  const off = base !== name && Object.hasOwn(table, base) && !Object.hasOwn(table, name);
  if (off && table[base]!.placeholder === null && value === null) {
    return [];
  }
  if (!Object.hasOwn(table, name)) {
    throw new CliError(`-o ${then}: unknown: give the options by their names, see --help`);
  }
  return [value === null ? `--${name}` : `--${name}=${VALUES[word] ?? value}`];
}

/**
 * Puts the options of today in the place of `-o ...`; a doubled comma belongs to a value.
 * @throws CliError for a word that is none
 */
export function withoutLegacy(table: OptionTable, args: readonly string[]): string[] {
  const all: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!;
    if (!arg.startsWith('-o')) {
      // In the foreground is where it always is.
      all.push(...(arg === '-f' ? [] : [arg === '-d' ? '--log-level=debug' : arg]));
      continue;
    }
    const text = arg.length > 2 ? arg.slice(2) : args[++index];
    if (text === undefined || text === '') {
      throw new CliError('-o wants a value: option,option=value');
    }
    // A comma of a value is kept by a character that no option has.
    const words = text.replaceAll(',,', '\0').split(',');
    all.push(...words.flatMap((word) => today(table, word.replaceAll('\0', ','))));
  }
  return all;
}
