/** The examples, as programs. */

/** The path of one of `examples/`. */
export function example(script: string): string {
  return new URL(`../examples/${script}`, import.meta.url).pathname;
}
