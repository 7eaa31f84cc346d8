/** The code that the model is held against: the package, or a copy of it with a planted bug. */
import { BackendRegion, Window } from '@oriel/shm-region';

export interface Library {
  readonly BackendRegion: typeof BackendRegion;
  readonly Window: typeof Window;
}

export const realLibrary: Library = { BackendRegion, Window };
