/** Steps one after the other, without promises. */

/** Called once a step is over. */
export type Done = (error: Error | null) => void;

/** Runs steps in order until one fails; `done` gets its error, or null after the last. */
export function sequence(steps: readonly ((next: Done) => void)[], done: Done): void {
  const run = (index: number): void => {
    const step = steps[index];
    if (step === undefined) {
      done(null);
      return;
    }
    step((error) => {
      if (error !== null) {
        done(error);
      } else {
        run(index + 1);
      }
    });
  };
  run(0);
}
