/** Which way a request goes: its code is executed here, or in a run where what it is about is on a mount that may not answer. */
import type { Operation } from '@oriel/fuse';
import type { Devices } from '../devices.ts';
import type { Handles } from '../handles.ts';
import type { Inodes } from '../inodes.ts';
import type { RemoteRuns } from './remote-runs.ts';

/** In place of a result: the request is to be run elsewhere. No negative errno. */
export const ELSEWHERE = -0x2000_0000;

/** What a run needs of an operation. One that a process before this one began is looked at in the loop, at once. */
export type RunOperation = Pick<Operation, 'complete'> & Partial<Pick<Operation, 'intent'>>;

/** A number that names a device, and its lane. */
export function laneOf(major: number, minor: number): number {
  return major * 2 ** 20 + minor;
}

/** The ways of a share's requests. */
export class RequestRoutes {
  readonly #devices: Devices;
  readonly #inodes: Inodes;
  readonly #handles: Handles;
  readonly #runs: RemoteRuns;
  /** The lane of a request that `waitElsewhere` was said of. */
  #elsewhereLane = 0;

  constructor(devices: Devices, inodes: Inodes, handles: Handles, runs: RemoteRuns) {
    this.#devices = devices;
    this.#inodes = inodes;
    this.#handles = handles;
    this.#runs = runs;
  }

  /** True for an inode on a mount that may not answer. */
  isRemote(nodeid: number): boolean {
    if (this.#devices.remotes === 0) {
      return false;
    }
    const slot = this.#inodes.slotOf(nodeid);
    return slot >= 0 && this.#inodes.device(slot).remote && this.#runs.enabled;
  }

  /** The same of an open file or directory. */
  isRemoteHandle(fh: number): boolean {
    if (this.#devices.remotes === 0) {
      return false;
    }
    const slot = this.#handles.anySlotOf(fh);
    return slot >= 0 && this.#handles.device(slot).remote && this.#runs.enabled;
  }

  /**
   * Runs a request by system calls of helper threads.
   * @param nodeids - what it is about, one on a mount that may not answer or, after ELSEWHERE, in a directory with one
   * @returns as its code, or PENDING
   */
  runOnInode(nodeids: readonly number[], op: RunOperation, code: () => number): number {
    if (op.intent?.again) {
      return this.#runs.inLoop(code);
    }
    let lane = this.#elsewhereLane;
    for (const nodeid of nodeids) {
      const slot = this.#inodes.slotOf(nodeid);
      const device = slot < 0 ? undefined : this.#inodes.device(slot);
      if (device?.remote) lane = laneOf(device.major, device.minor);
    }
    return this.#runs.start(lane, { op, code, unpin: null });
  }

  /** The same for one about open files or directories, of which one at least is on such a mount. */
  runOnHandles(fhs: readonly number[], op: RunOperation, code: () => number): number {
    if (op.intent?.again) {
      return this.#runs.inLoop(code);
    }
    const handles = this.#handles;
    const slots = fhs.map((fh) => handles.anySlotOf(fh)).filter((slot) => slot >= 0);
    const device = slots.map((slot) => handles.device(slot)).find(({ remote }) => remote);
    const pins = slots.map((slot) => handles.pins.add(slot));
    const unpin = (): void => {
      for (const end of pins) end();
    };
    const lane = device === undefined ? this.#elsewhereLane : laneOf(device.major, device.minor);
    return this.#runs.start(lane, { op, code, unpin });
  }

  /** A request that is run here has to wait, for a mount or a lease: it is to be begun anew, in a run. */
  waitElsewhere(major: number, minor: number): number {
    this.#elsewhereLane = laneOf(major, minor);
    return ELSEWHERE;
  }
}
