/** Requests of a client, one by one, on their way to the compositor. */
import type { Fd } from '@oriel/sys';
import { ArgumentReader, type MessageStream, WlError } from '@oriel/wl';
import type { Identifier } from '../channel/host-channel.ts';
import { CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB } from '../channel/protocol.ts';
import { ProxyError } from '../errors.ts';
import { inspectFile } from '../files/client-file.ts';
import { MAX_COPIED_LEN, readFile } from '../files/content.ts';
import type { Passing, WlObject } from './objects.ts';
import { copyNamedBuffers } from './shm-hooks.ts';
import type { Translation } from './translation.ts';

const NO_FDS: Fd[] = [];

/** A file that the compositor is to read: host memory with its bytes. */
function copyToHost(translation: Translation, { message }: Passing, fd: Fd, size: number): Identifier {
  const { channel, sys, toHost } = translation;
  if (size > MAX_COPIED_LEN) throw new ProxyError('ERR_PROXY_CLIENT', `${message.name}: a file of ${size} bytes`);
  const memory = channel.allocate(size);
  toHost.disposeAfterwards(memory);
  const copied = readFile(sys, fd.fd, memory.addr, size, 0);
  if (copied !== size) throw new ProxyError('ERR_PROXY_CLIENT', `${message.name}: its file gives ${copied} bytes`);
  return { id: memory.resourceId, type: CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB, size };
}

/** The first descriptor of a request that has no hook: by what it is. */
function passFd(translation: Translation, passing: Passing): Identifier {
  const { message, fds } = passing;
  const { kind, size, writeOnly } = inspectFile(translation.sys, fds[0]!);
  const isTarget = writeOnly || kind === 'socket' || message.name === 'receive';
  if (kind === 'other' || (kind === 'pipe' && !isTarget)) {
    throw new ProxyError('ERR_PROXY_CLIENT', `${message.name}: a descriptor of kind ${kind} cannot pass`);
  }
  if (isTarget) return translation.pipes.fromHost(fds.shift()!, kind);
  using fd = fds.shift()!;
  return copyToHost(translation, passing, fd, size);
}

export class Requests {
  readonly #translation: Translation;
  readonly #args = new ArgumentReader();

  constructor(translation: Translation) {
    this.#translation = translation;
  }

  /** Passes the message that the stream is at. @throws ProxyError, WlError: what ends the client */
  pass(stream: MessageStream): void {
    const object = this.#translation.objects.expect(stream.objectId);
    const message = object.kind.interface.requests[stream.opcode];
    if (message === undefined) {
      throw new WlError('ERR_WL_OPCODE', `${object.kind.interface.name} has no request ${stream.opcode}`);
    }
    const fds = message.fdCount === 0 ? NO_FDS : this.#translation.toClient.takeFds(message.fdCount);
    try {
      const { view, start, size } = stream;
      const args = this.#args.read(message, view, start, size);
      this.#pass(stream.opcode, { object, message, bytes: stream.message, view, args, fds });
    } finally {
      for (const fd of fds.splice(0)) fd.close();
    }
  }

  #pass(opcode: number, passing: Passing): void {
    const { object, message, bytes } = passing;
    const hook = object.kind.requests[opcode];
    if (message.makesObject) this.#enterObjects(passing);
    if (hook !== undefined) {
      hook(this.#translation, passing);
      return;
    }
    if (object.kind.namesBuffer[opcode]) copyNamedBuffers(this.#translation, passing);
    const identifiers: Identifier[] = [];
    while (passing.fds.length > 0) identifiers.push(passFd(this.#translation, passing));
    this.#translation.toHost.add(bytes, identifiers);
  }

  #enterObjects({ message, args }: Passing): void {
    const { kinds, objects } = this.#translation;
    message.args.forEach(({ kind, interfaceName }, index) => {
      if (kind !== 'n' || interfaceName === undefined) return;
      const id = args.uint(index);
      const object: WlObject = { id, kind: kinds.get(interfaceName)!, data: undefined };
      objects.add(id, 'client', object);
    });
  }
}
