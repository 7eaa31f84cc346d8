/** READ messages, as pipes and events make them. */
import { CrossDomainHeader, CrossDomainReadWrite } from '../protocol/layout.ts';
import { CROSS_DOMAIN_CMD_READ } from '../protocol/values.ts';
import type { Scratch } from './ring.ts';

/** Where the data of a READ begins. */
export const READ_DATA_AT = CrossDomainReadWrite.byteLength;

/** Writes a header into the scratch memory: all of it but the command is 0, which old guests ask for. */
export function putHeader({ bytes, view }: Scratch, cmd: number, len: number): void {
  bytes.fill(0, 0, len);
  CrossDomainHeader.cmd.set(view, 0, cmd);
}

/** Puts the head before data that is in its place. @returns bytes of the message */
export function putRead(scratch: Scratch, identifier: number, size: number, hangUp: boolean): number {
  putHeader(scratch, CROSS_DOMAIN_CMD_READ, READ_DATA_AT);
  CrossDomainReadWrite.identifier.set(scratch.view, 0, identifier);
  CrossDomainReadWrite.hangUp.set(scratch.view, 0, hangUp ? 1 : 0);
  CrossDomainReadWrite.opaqueDataSize.set(scratch.view, 0, size);
  return READ_DATA_AT + size;
}
