/** Steps that end by a call back, one after the other. */

/** One step: `next` is called once, inside the step or later, with 0 or a negative errno. */
export type Step = (index: number, next: (error: number) => void) => void;

/**
 * Runs `step(0)` to `step(count - 1)`, each after the one before has called back. A call back inside the step does not
 * deepen the stack: how many steps there are is the guest's choice.
 * @param done - gets the first error, or 0, after the last step
 */
export function inTurn(count: number, step: Step, done: (firstError: number) => void): void {
  let index = 0;
  let failure = 0;
  let ready = true;
  let running = false;
  const next = (error: number): void => {
    if (error < 0 && failure === 0) failure = error;
    ready = true;
    advance();
  };
  const advance = (): void => {
    if (running) return;
    running = true;
    while (ready && index < count) {
      ready = false;
      step(index++, next);
    }
    running = false;
    if (ready) done(failure);
  };
  advance();
}
