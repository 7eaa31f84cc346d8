/** RECEIVE messages in their two forms. */
import { putHeader } from '../events/read-message.ts';
import type { Scratch } from '../events/ring.ts';
import { CrossDomainSendReceive, CrossDomainSendReceiveOld, type SendReceiveLayout } from '../protocol/layout.ts';
import { CROSS_DOMAIN_CMD_RECEIVE } from '../protocol/values.ts';
import type { Announced } from '../received/receive.ts';

/** Puts the head before `size` bytes of data that are in their place. @returns bytes of the message */
export function putReceive(
  scratch: Scratch,
  layout: SendReceiveLayout,
  announced: readonly Announced[],
  size: number,
): number {
  const { view } = scratch;
  putHeader(scratch, CROSS_DOMAIN_CMD_RECEIVE, layout.byteLength);
  layout.numIdentifiers.set(view, 0, announced.length);
  layout.opaqueDataSize.set(view, 0, size);
  for (const [index, { id, type, size: fileSize }] of announced.entries()) {
    layout.identifiers.set(view, 0, index, id);
    layout.identifierTypes.set(view, 0, index, type);
    layout.identifierSizes.set(view, 0, index, fileSize);
  }
  return layout.byteLength + size;
}

/** The form of a SEND whose head has `size` bytes; null for any other. */
export function layoutOf(size: number): SendReceiveLayout | null {
  if (size === CrossDomainSendReceive.byteLength) return CrossDomainSendReceive;
  return size === CrossDomainSendReceiveOld.byteLength ? CrossDomainSendReceiveOld : null;
}
