/** Error numbers to names and back. */
import * as errnoConstants from './constants/errno.ts';

const numberByName = new Map<string, number>(Object.entries(errnoConstants));
const nameByNumber = new Map<number, string>();
for (const [name, number] of numberByName) {
  nameByNumber.set(number, name);
}

/** The C name of a positive error number: `errnoName(9)` is 'EBADF'; a number without a name gives 'ERRNO_n'. */
export function errnoName(errno: number): string {
  return nameByNumber.get(errno) ?? `ERRNO_${errno}`;
}

/** The error number of a C name: `errnoNumber('EBADF')` is 9; undefined for a name that Linux lacks. */
export function errnoNumber(name: string): number | undefined {
  return numberByName.get(name);
}
