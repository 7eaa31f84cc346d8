/** Things of the host that a guest program names by number. */

/** Each owns its descriptors; disposing it gives them back to the quotas. */
export interface Item extends Disposable {
  /** What a SEND may pass on of it: a descriptor, lent; -1: nothing. */
  readonly fd: number;
}
