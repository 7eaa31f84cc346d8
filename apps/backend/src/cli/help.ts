/** Help from the option table. */
import type { OptionTable } from './option.ts';

const HELP_COLUMN = 30;

/** One line an option: name, value, meaning, default. */
export function optionsHelp(table: OptionTable): string {
  return Object.entries(table)
    .map(([name, { placeholder, help, fallbackText }]) => {
      const left = `  --${name}${placeholder === null ? '' : ` ${placeholder}`}`;
      const right = `${help}${fallbackText === '' ? '' : ` (default ${fallbackText})`}`;
      const gap = left.length < HELP_COLUMN ? ' '.repeat(HELP_COLUMN - left.length) : `\n${' '.repeat(HELP_COLUMN)}`;
      return `${left}${gap}${right}\n`;
    })
    .join('');
}
