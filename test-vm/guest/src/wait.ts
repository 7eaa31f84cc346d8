/** Waiting for one event with a time limit; nothing in the harness polls or sleeps. */

/**
 * Settles as `promise` does, or rejects after `timeoutMs` with the error `late` makes (only then is it made).
 * The promise itself goes on; its later rejection is not reported again.
 */
export function withTimeout<T>(promise: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), timeoutMs);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
