/** Group names to numbers. */
import { readFileSync } from 'node:fs';
import { CliError } from './cli/cli-error.ts';

const NAME = 0;
const GID = 2;

/**
 * The id of a group given by name or number.
 * @param database - text in the form of group(5)
 * @throws CliError when there is no such group
 */
export function groupId(group: string, database: () => string = () => readFileSync('/etc/group', 'utf8')): number {
  if (/^\d+$/.test(group)) {
    return Number(group);
  }
  for (const line of database().split('\n')) {
    const fields = line.split(':');
    if (fields[NAME] === group && /^\d+$/.test(fields[GID] ?? '')) {
      return Number(fields[GID]);
    }
  }
  throw new CliError(`--socket-group=${group}: no such group: give a name from /etc/group, or a number`);
}
