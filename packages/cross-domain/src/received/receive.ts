/** Descriptors that a host program sent become things that the guest can name. */
import { VIRTIO_GPU_MAP_CACHE_CACHED } from '@oriel/gpu-blob';
import { errnoName, type Fd } from '@oriel/sys';
import type { Channel } from '../channel/channel.ts';
import { EventItem } from '../items/event-item.ts';
import { HeldFd } from '../items/held-fd.ts';
import type { Items } from '../items/items.ts';
import { ReceivedFile } from '../items/received-file.ts';
import { WritePipe } from '../items/write-pipe.ts';
import {
  CROSS_DOMAIN_ID_TYPE_SOCKET,
  CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB,
  CROSS_DOMAIN_ID_TYPE_WRITE_PIPE,
} from '../protocol/values.ts';
import type { Surroundings } from '../surroundings.ts';
import { once } from './blob-source.ts';
import { copyFile } from './copy-file.ts';
import { lookAt } from './kind.ts';

/** What a RECEIVE says of one descriptor. */
export interface Announced {
  readonly id: number;
  readonly type: number;
  /** Bytes, not rounded. */
  readonly size: number;
}

/** Larger contents are not copied: the loop stands still meanwhile. */
const MOST_COPIED = 16 * 1024 * 1024;
/** The size has 32 bits in the message. */
const MOST_SHARED = 0xffff_ffff;

/** Takes descriptors in. */
export class Receiver {
  readonly #around: Surroundings;
  readonly #items: Items;
  readonly #channel: Channel;

  constructor(around: Surroundings, items: Items, channel: Channel) {
    this.#around = around;
    this.#items = items;
    this.#channel = channel;
  }

  /** @param file - given away @returns what the guest is told, or why it cannot have it */
  take(file: Fd): Announced | string {
    const { fds } = this.#around.quotas;
    if (!fds.take(1)) {
      file.close();
      return `it holds ${fds.used} descriptors, which is the most`;
    }
    const announced = this.#adopt(file);
    if (typeof announced === 'string') {
      file.close();
      fds.give(1);
    }
    return announced;
  }

  /** Keeps `file` unless it returns a text. */
  #adopt(file: Fd): Announced | string {
    const { sys } = this.#around.host;
    const { fds } = this.#around.quotas;
    const { kind, size } = lookAt(sys, file.fd);
    switch (kind) {
      case 'event': {
        if (this.#channel.eventType === null) return 'an eventfd is nothing for this channel';
        sys.fd.setNonBlocking(file.fd, true);
        const id = this.#items.newId();
        this.#items.add(id, new EventItem(id, file, this.#around));
        return { id, type: this.#channel.eventType, size: 0 };
      }
      case 'socket':
        if (!this.#channel.takesSockets) return 'a socket is nothing for this channel';
        return this.#add(new HeldFd('socket', file, fds), CROSS_DOMAIN_ID_TYPE_SOCKET, 0);
      case 'pipe':
        // The description is shared with the program that passed it, which has closed its own by now.
        sys.fd.setNonBlocking(file.fd, true);
        return this.#add(new WritePipe(file, this.#around), CROSS_DOMAIN_ID_TYPE_WRITE_PIPE, 0);
      case 'shared':
        return size > MOST_SHARED ? `a file of ${size} bytes is too large` : this.#share(file, size);
      case 'file':
        return this.#copy(file, size);
      case 'other':
        return 'a descriptor is of a kind that no guest can use';
    }
  }

  #share(file: Fd, size: number): Announced {
    const blob = {
      fd: file.fd,
      fdOffset: 0,
      size,
      mapInfo: VIRTIO_GPU_MAP_CACHE_CACHED,
      label: 'shared by a host program',
      [Symbol.dispose]: once(() => file.close()),
    };
    const { fds } = this.#around.quotas;
    return this.#add(new ReceivedFile(blob, fds), CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB, size);
  }

  /** For what is read-only, could shrink, or ends inside a page: keymaps above all. */
  #copy(file: Fd, size: number): Announced | string {
    const { host, memory, quotas } = this.#around;
    if (size > MOST_COPIED) return `a file of ${size} bytes that could shrink is too large to be copied`;
    const blob = memory.make(memory.pages(size), 'copy of a file of a host program', quotas.bytes);
    if (blob === null) return `there is no memory for ${size} bytes more`;
    const error = copyFile(host.sys, file.fd, blob.fd, size);
    if (error < 0) {
      blob[Symbol.dispose]();
      return `a file of ${size} bytes cannot be read at once (${errnoName(-error)})`;
    }
    file.close();
    return this.#add(new ReceivedFile(blob, quotas.fds), CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB, size);
  }

  #add(item: HeldFd | ReceivedFile | WritePipe, type: number, size: number): Announced {
    const id = this.#items.newId();
    this.#items.add(id, item);
    return { id, type, size };
  }
}
