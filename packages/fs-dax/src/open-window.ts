/** Opens the DAX window of a device, and ties it to a session. */
import { createHash } from 'node:crypto';
import { FUSE_HAS_INODE_DAX, FUSE_MAP_ALIGNMENT, type SessionHooks } from '@oriel/fuse';
import { TWO_32 } from '@oriel/layout';
import type { Logger } from '@oriel/sys';
import { GrowRecord } from './dax/grow-record.ts';
import { ownGuardHost } from './dax/guard-host.ts';
import { checkDax } from './dax/options.ts';
import { repairGrown } from './dax/repair.ts';
import { DaxWindow } from './dax/window.ts';
import { FsDaxError } from './errors.ts';
import { DAX_RANGE_SHIFT } from './layout.ts';
import type { FsDeviceOptions } from './options.ts';

/** The flag's bit in the upper word of the INIT flags. */
const HAS_INODE_DAX_HI = FUSE_HAS_INODE_DAX / TWO_32;

/** @throws FsDaxError when an option is out of range, or the crash record cannot be opened */
export function openWindow(options: FsDeviceOptions, windowSize: number, log: Logger): DaxWindow {
  const { sys, fs, dax = {}, sharedDir, onGrowthStep } = options;
  const { tail, minSize, stateDir, guard } = checkDax(dax);
  if (tail === 'grow' && (stateDir === undefined || sharedDir === undefined)) {
    throw new FsDaxError('ERR_FSDAX_OPTION', "the tail mode 'grow' needs a state directory and the shared directory");
  }
  if (tail === 'copy') {
    log.warn(
      'dax-tail copy: the last range of a file is a private copy, not coherent with the host until it is written back',
    );
  }
  const record =
    stateDir === undefined || sharedDir === undefined
      ? null
      : GrowRecord.open(sys, stateDir, shareKey(sharedDir), (file) => repairGrown(sys, sharedDir, file, log));
  const onStep = onGrowthStep ? { onStep: onGrowthStep } : {};
  try {
    const guardHost = dax.guardHost ?? ownGuardHost(sys);
    return new DaxWindow({ sys, fs, log, windowSize, tail, minSize, guard, guardHost, record, ...onStep });
  } catch (error) {
    record?.[Symbol.dispose]();
    throw error;
  }
}

/** A share's name in file names. */
function shareKey(sharedDir: string): string {
  return createHash('sha256').update(sharedDir).digest('hex').slice(0, 16);
}

/** What a window adds to a session. */
export function windowHooks(window: DaxWindow): SessionHooks {
  return {
    initFlagsLo: FUSE_MAP_ALIGNMENT,
    initFlagsHi: HAS_INODE_DAX_HI,
    mapAlignment: DAX_RANGE_SHIFT,
    initialised: (lo, hi) => {
      const aligned = (lo & FUSE_MAP_ALIGNMENT) !== 0;
      window.setMode(!aligned ? 'none' : (hi & HAS_INODE_DAX_HI) !== 0 ? 'inode' : 'always');
    },
    dropMappings: (done) => window.dropAll(done),
    setupMapping: (op, nodeid, foffset, len, _flags, moffset) => window.setup(op, nodeid, foffset, len, moffset),
    removeMapping: (op, _nodeid, count, moffsets, lens) => window.remove(op, count, moffsets, lens),
    attributes: (nodeid, attr, inDirectory) => window.attributes(nodeid, attr, inDirectory),
    hold: (op) => window.hold(op),
    beforeReply: (op) => window.beforeReply(op),
    forgotten: (nodeid) => window.forgotten(nodeid),
  };
}
