/** RESET_OWNER (4, deprecated: rings are disabled) and RESET_DEVICE (34). */
import type { RequestHandlers } from './requests.ts';

/** What each of them does. */
export interface Resets {
  readonly owner: () => void;
  readonly device: () => void;
}

/** Serves both. */
export function resetRequests({ owner, device }: Resets): RequestHandlers {
  return {
    RESET_OWNER: () => {
      owner();
      return null;
    },
    RESET_DEVICE: () => {
      device();
      return null;
    },
  };
}
