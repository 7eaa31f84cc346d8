/** A well-behaved front-end with a driver: mounts the share, reads a file by both ways, and leaves. */
import { FUSE_ROOT_ID, FUSE_SETUPMAPPING_FLAG_READ } from '@oriel/fuse';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { O_RDONLY } from '@oriel/sys';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { MockDriver } from '@oriel/virtio-device/testing';
import { same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import { FILE_BYTES, FILE_NAME, type FsServer } from './fs-server.ts';

const RAM_BYTES = 1 << 20;
const QUEUE_BYTES = 0x4_0000;
const QUEUES = 2;
const REQUESTS = 1;
const RANGE = 2 << 20;
const READ_BYTES = 1000;
const WINDOW = { gpa: 2 ** 40, userAddr: 2 ** 45 };

/** Connects, works and leaves. @throws SoakError ERR_SOAK_MISMATCH when anything is not as it should be */
export function behaveWell(server: FsServer, random: Xorshift): void {
  const { sys, loop, profile } = server;
  const seen = { maps: 0, unmaps: 0 };
  server.renewFile();
  // Where the back-end waits for it in vain, it waits a while.
  const tellsTable = profile.visibility === 'memory-update' ? !random.once(8) : random.once(2);
  {
    using mock = new MockFrontend({
      sys,
      loop,
      socket: server.dial(),
      ramSize: RAM_BYTES,
      shmemBit: profile.shmemBit,
      handlers: {
        shmemMap: (_request, fd) => {
          fd.close();
          seen.maps++;
          return 0;
        },
        shmemUnmap: ({ len }) => {
          if (len > 0) seen.unmaps++;
          return len > 0 ? 0 : -22;
        },
      },
      ...(tellsTable ? { announce: () => WINDOW } : {}),
    });
    mock.connect();
    const drivers = Array.from({ length: QUEUES }, (_, index) => startQueue(mock, index));
    work(mock, drivers[REQUESTS]!, seen);
    if (random.once(2)) for (let index = 0; index < QUEUES; index++) mock.stopRing(index);
  }
  server.expectIdle();
}

function startQueue(mock: MockFrontend, index: number): MockDriver {
  const driver = new MockDriver({
    memory: { u8: mock.ram.u8, gpa: MockFrontend.RAM_GPA },
    gpa: MockFrontend.RAM_GPA + index * QUEUE_BYTES,
    len: QUEUE_BYTES,
    size: 32,
    eventIdx: true,
    kick: () => mock.kick(index),
  });
  const { size, desc, avail, used } = driver;
  mock.startRing(index, { size, desc, avail, used });
  return driver;
}

function work(mock: MockFrontend, driver: MockDriver, seen: { readonly maps: number; readonly unmaps: number }): void {
  const encoder = new RequestEncoder();
  const decoder = new ReplyDecoder();
  const call = (what: string, request: RequestEncoder): ReplyDecoder => {
    driver.send([request.bytes.slice(0, request.len)], [request.room]);
    let reply = driver.take();
    mock.runUntil(() => (reply ??= driver.take()) !== null);
    decoder.take(request, reply!.bytes, reply!.written);
    same(`error of ${what}`, decoder.error, 0);
    return decoder;
  };
  call('INIT', encoder.init());
  const { nodeid, attr } = call('LOOKUP', encoder.lookup(FUSE_ROOT_ID, FILE_NAME)).readEntry();
  same('size', attr.size, FILE_BYTES);
  const { fh } = call('OPEN', encoder.open(nodeid, O_RDONLY));
  const { data } = call('READ', encoder.read(nodeid, fh, 5000, READ_BYTES));
  same('bytes read', data.length, READ_BYTES);
  same('maps', seen.maps, 0);
  call('SETUPMAPPING', encoder.setupmapping(nodeid, 0, RANGE, FUSE_SETUPMAPPING_FLAG_READ, RANGE));
  same('maps', seen.maps, 1);
  call('REMOVEMAPPING', encoder.removemapping(nodeid, [RANGE, RANGE]));
  same('unmaps', seen.unmaps, 1);
  call('DESTROY', encoder.destroy());
}
