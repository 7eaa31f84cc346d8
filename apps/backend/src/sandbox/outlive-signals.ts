/** For a program that ends behind the one that started it. */

/** A service manager tells every process of a device to end at once: this one stays until nobody needs it. */
export function outliveSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
}
