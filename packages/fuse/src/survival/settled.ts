/** Which requests are answered from the journal. */
import type { OperationRecord } from '../operation-record.ts';
import { REPLY_COUNT, REPLY_COUNT64, REPLY_HEADER, REPLY_SILENT } from '../protocol.ts';

/**
 * True when a process that ended executed the request, and its record says all that the reply needs. What is asked of a file
 * as it is now is asked anew; what counted or opened something is for the Filesystem to tell.
 */
export function isSettled(op: OperationRecord): boolean {
  const { intent, reply } = op;
  if (intent === null || !intent.again || !intent.done) {
    return false;
  }
  const plain = reply === REPLY_HEADER || reply === REPLY_COUNT || reply === REPLY_COUNT64 || reply === REPLY_SILENT;
  return plain || intent.result < 0;
}
