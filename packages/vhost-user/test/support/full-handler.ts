/** A device that has everything that a back-end can offer. */
import type { Fd } from '@oriel/sys';
import { FeatureSet } from '../../src/index.ts';
import { RecordingHandler } from './recording-handler.ts';

/** All protocol features that it is offered with. */
export const FULL_PROTOCOL_FEATURES = 0xddfe2b;

/** A device that has everything. */
export class FullHandler extends RecordingHandler {
  override features = FeatureSet.of(0, 29, 32);
  readonly inflight = true;
  readonly dirtyLog = true;
  readonly inband = true;
  readonly hostNotifier = true;

  setGpuSocket(socket: Fd): void {
    this.gpuSocket = socket;
  }

  drainRing(_index: number, done: () => void): void {
    done();
  }

  kicked(_index: number): void {}

  saveState(to: Fd, done: (ok: boolean) => void): void {
    to.close();
    done(true);
  }

  loadState(from: Fd, done: (ok: boolean) => void): void {
    from.close();
    done(true);
  }

  sharedObject(): Fd | null {
    return null;
  }
}
