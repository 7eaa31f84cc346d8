/** Endings that must not stop half-way. */

/**
 * Does `act` for all items, also when it throws for some: a bug of one plug-in must not leave the things of others behind.
 * @throws what it threw first, once all is done
 */
export function forAll<T>(items: Iterable<T>, act: (item: T) => void): void {
  const errors: unknown[] = [];
  for (const item of items) {
    try {
      act(item);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
