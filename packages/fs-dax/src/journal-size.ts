/** How much memory a device's session takes that is to outlive the process. */
import { journalBytes } from '@oriel/fuse';
import type { Logger } from '@oriel/sys';
import { rangeJournalBytes } from './dax/range-journal.ts';
import { keptBytes } from './kept-chains.ts';
import { DAX_RANGE } from './layout.ts';
import type { FsDeviceOptions } from './options.ts';

/** Bytes of the journal; 0 where none can be kept. */
export function stateBytesOf(
  { fs, dax = {}, windowSize = 0 }: FsDeviceOptions,
  queues: number,
  queueSize: number,
  log: Logger,
): number {
  const filesystem = fs.openJournal === undefined ? undefined : fs.journalBytes;
  if (filesystem === undefined) {
    log.warn('the file system keeps no journal: a session ends with this process');
    return 0;
  }
  if (windowSize > 0 && dax.tail === 'copy') {
    log.warn('dax-tail copy: what the guest stored in a private copy ends with this process, so no journal is kept');
    return 0;
  }
  const session = journalBytes(queues * queueSize, filesystem);
  return session + rangeJournalBytes(windowSize / DAX_RANGE) + keptBytes(queues, queueSize);
}
