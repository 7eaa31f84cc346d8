/** What the host wrote into the channel ring, checked and handed on. */
import type { ChannelHandler, Identifier } from './host-channel.ts';
import {
  CROSS_DOMAIN_CMD_READ,
  CROSS_DOMAIN_CMD_RECEIVE,
  CrossDomainHeader,
  CrossDomainReadWrite,
  CrossDomainSendReceive,
} from './protocol.ts';

/** Gives one message to the handler. @param ring - the whole ring; its bytes are lent on */
export function dispatchMessage(ring: Uint8Array, handler: ChannelHandler): void {
  const view = new DataView(ring.buffer, ring.byteOffset, ring.length);
  const cmd = CrossDomainHeader.cmd.get(view, 0);
  if (cmd === CROSS_DOMAIN_CMD_RECEIVE) {
    receive(ring, view, handler);
  } else if (cmd === CROSS_DOMAIN_CMD_READ) {
    read(ring, view, handler);
  } else {
    handler.onEnd(cmd === 0 ? 'the host has no compositor for it' : `the host sent command ${cmd}`);
  }
}

function receive(ring: Uint8Array, view: DataView, handler: ChannelHandler): void {
  const head = CrossDomainSendReceive.byteLength;
  const count = CrossDomainSendReceive.numIdentifiers.get(view, 0);
  const len = CrossDomainSendReceive.opaqueDataSize.get(view, 0);
  if (count > CrossDomainSendReceive.identifiers.count || len > ring.length - head) {
    handler.onEnd(`the host sent ${len} bytes and ${count} descriptors in one message`);
    return;
  }
  if (count === 0 && len === 0) {
    handler.onEnd('the compositor ended the connection');
    return;
  }
  const identifiers: Identifier[] = [];
  for (let index = 0; index < count; index++) {
    identifiers.push({
      id: CrossDomainSendReceive.identifiers.get(view, 0, index),
      type: CrossDomainSendReceive.identifierTypes.get(view, 0, index),
      size: CrossDomainSendReceive.identifierSizes.get(view, 0, index),
    });
  }
  handler.onReceive(ring.subarray(head, head + len), identifiers);
}

function read(ring: Uint8Array, view: DataView, handler: ChannelHandler): void {
  const head = CrossDomainReadWrite.byteLength;
  const len = CrossDomainReadWrite.opaqueDataSize.get(view, 0);
  if (len > ring.length - head) {
    handler.onEnd(`the host sent ${len} bytes of a pipe in one message`);
    return;
  }
  const pipe = CrossDomainReadWrite.identifier.get(view, 0);
  handler.onRead(pipe, ring.subarray(head, head + len), CrossDomainReadWrite.hangUp.get(view, 0) !== 0);
}
