/** Words for who waits. */

/** Says a line on standard error, so that the tables alone are on standard output. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
