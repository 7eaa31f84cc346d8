/** The memory table: regions that wrap, overlap, or are not there. */
import { VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS } from '@oriel/vhost-user';
import { VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '@oriel/virtqueue';
import { clausesOf } from '../clause.ts';
import { MAX_U64, memTable, type Region, singleRegion, u64, vringAddr, vringState } from '../payloads.ts';
import { memoryFile, RAM_GPA, RAM_SIZE, RAM_USER } from '../ram.ts';
import { offerHonestly } from '../request.ts';
import type { Session } from '../session.ts';
import { offersProtocol } from './needs.ts';

const clause = clausesOf('memory', 'negotiated', 'vhost-user: Memory region description');
const slots = clausesOf('slots', 'memory', 'vhost-user: VHOST_USER_ADD_MEM_REG');
const SLOTS = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, 'CONFIGURE_MEM_SLOTS') };
const PAGE = 4096;

const REGION: Region = { gpa: RAM_GPA, size: RAM_SIZE, user: RAM_USER, offset: 0 };
/** A second one behind it. */
const NEXT: Region = { gpa: RAM_GPA + RAM_SIZE, size: RAM_SIZE, user: RAM_USER + RAM_SIZE, offset: 0 };

/** Starts a ring in whatever memory the peer took, and kicks. */
function use(session: Session): void {
  const ring = session.ring();
  session.tell('SET_VRING_NUM', vringState(ring.index, ring.size));
  session.tell('SET_VRING_ADDR', vringAddr(ring.index, ring.addresses));
  session.tell('SET_VRING_CALL', u64(ring.index), [ring.callFd]);
  session.tell('SET_VRING_KICK', u64(ring.index), [ring.kickFd]);
  session.tell('SET_VRING_ENABLE', vringState(ring.index, 1));
  session.provoke(ring);
}

/** SET_MEM_TABLE with regions over the file of RAM, and a ring in them. */
const table = (id: string, sent: string, regions: readonly Region[], source?: string) =>
  clause(
    id,
    `SET_MEM_TABLE: ${sent}`,
    (session) => {
      session.tell(
        'SET_MEM_TABLE',
        memTable(regions),
        regions.map(() => session.ram.file.fd),
      );
      use(session);
    },
    source === undefined ? {} : { source },
  );

/** SET_MEM_TABLE of one region over another descriptor, and a ring in it. */
const over = (id: string, sent: string, fd: (session: Session) => number, region = REGION) =>
  clause(id, `SET_MEM_TABLE: ${sent}`, (session) => {
    session.tell('SET_MEM_TABLE', memTable([region]), [fd(session)]);
    use(session);
  });

/** SET_MEM_TABLE whose count or descriptors are not those of its regions. */
const lies = (id: string, sent: string, regions: readonly Region[], count: number, fds: number) =>
  clause(id, `SET_MEM_TABLE: ${sent}`, (session) => {
    session.tell('SET_MEM_TABLE', memTable(regions, count), new Array<number>(fds).fill(session.ram.file.fd));
    use(session);
  });

const add = (id: string, sent: string, region: Region) =>
  slots(
    `add-${id}`,
    `ADD_MEM_REG: ${sent}`,
    (session) => {
      session.tell('ADD_MEM_REG', singleRegion(region), [session.ram.file.fd]);
      use(session);
    },
    SLOTS,
  );

const remove = (id: string, sent: string, region: Region) =>
  slots(
    `remove-${id}`,
    `REM_MEM_REG: ${sent}`,
    (session) => void session.tell('REM_MEM_REG', singleRegion(region)),
    SLOTS,
  );

const far = (index: number): Region => ({
  ...NEXT,
  gpa: (NEXT.gpa as number) + index * RAM_SIZE,
  user: (NEXT.user as number) + index * RAM_SIZE,
});

/** In the order in which they are run. */
export const memoryClauses = [
  table('none', 'no regions', []),
  lies(
    'nine',
    'nine regions with eight descriptors',
    Array.from({ length: 9 }, (_, i) => far(i)),
    9,
    8,
  ),
  lies('count-beyond', 'two regions announced, one sent', [REGION], 2, 2),
  lies('count-max', '2^32 - 1 regions announced', [REGION], 0xffff_ffff, 1),
  lies('fds-missing', 'two regions, one descriptor', [REGION, NEXT], 2, 1),
  lies('fds-more', 'one region, three descriptors', [REGION], 1, 3),
  table('size-zero', 'a region of no bytes', [{ ...REGION, size: 0 }]),
  table('size-max', 'a region of 2^64 - 1 bytes', [{ ...REGION, size: MAX_U64 }]),
  table('gpa-wraps', 'gpa + size over 2^64', [{ ...REGION, gpa: MAX_U64 - 0xfffn }]),
  table('user-wraps', 'user address + size over 2^64', [{ ...REGION, user: MAX_U64 - 0xfffn }]),
  table('offset-wraps', 'offset + size over 2^64', [{ ...REGION, offset: MAX_U64 - 0xfffn }]),
  table('offset-beyond', 'an offset beyond the file', [{ ...REGION, offset: 1 << 30 }]),
  table('offset-unaligned', 'an offset of 1', [{ ...REGION, size: PAGE, offset: 1 }]),
  table('overlap-gpa', 'two regions that overlap in guest addresses', [REGION, { ...NEXT, gpa: RAM_GPA + PAGE }]),
  table('overlap-user', 'two regions that overlap in user addresses', [REGION, { ...NEXT, user: RAM_USER + PAGE }]),
  table('twice', 'the same region twice', [REGION, REGION]),
  table(
    'hole',
    'two regions that are no neighbours in user addresses',
    [REGION, { ...NEXT, user: RAM_USER + (1 << 30) }],
    'CVE-2018-1059',
  ),
  over('file-empty', 'an empty file', (session) => session.keep(memoryFile(session.sys, 0, 'unsealed')).fd),
  over(
    'file-short',
    'a file of one page under 1 MiB',
    (session) => session.keep(memoryFile(session.sys, PAGE, 'sealed')).fd,
  ),
  over(
    'file-unsealed',
    'a file that can shrink',
    (session) => session.keep(memoryFile(session.sys, RAM_SIZE, 'unsealed')).fd,
  ),
  over('eventfd', 'an eventfd for a file', (session) => session.eventfd()),
  over('socket', 'a socket for a file', (session) => session.socketpair()[0].fd),
  clause(
    'ring-truncated',
    'a running ring whose file is cut to nothing, and a kick',
    (session) => {
      const file = session.keep(memoryFile(session.sys, RAM_SIZE, 'unsealed'));
      session.tell('SET_MEM_TABLE', memTable([REGION]), [file.fd]);
      use(session);
      session.sys.file.ftruncate(file.fd, 0);
      session.provoke(session.ring());
    },
    { source: 'mmap(2): SIGBUS' },
  ),
  clause(
    'buffers-truncated',
    'a chain in memory whose file is cut to nothing',
    (session) => {
      const file = session.keep(memoryFile(session.sys, RAM_SIZE, 'unsealed'));
      session.tell('SET_MEM_TABLE', memTable([REGION, NEXT]), [session.ram.file.fd, file.fd]);
      session.sys.file.ftruncate(file.fd, 0);
      const ring = session.ring();
      ring.describe(0, { addr: NEXT.gpa, len: 64, flags: VRING_DESC_F_NEXT, next: 1 });
      ring.describe(1, { addr: (NEXT.gpa as number) + PAGE, len: PAGE, flags: VRING_DESC_F_WRITE });
      ring.offer(0);
      session.provoke(ring);
    },
    { stage: 'running', source: 'mmap(2): SIGBUS' },
  ),
  clause(
    'removed-while-running',
    'SET_MEM_TABLE of nothing under a running ring, and a kick',
    (session) => {
      session.tell('SET_MEM_TABLE', memTable([]));
      offerHonestly(session, session.ring());
      session.provoke(session.ring());
    },
    { stage: 'running', source: 'vhost-user: VHOST_USER_SET_MEM_TABLE' },
  ),
  add('same', 'the region that is there', REGION),
  add('overlap', 'a region over the end of the one that is there', { ...NEXT, gpa: RAM_GPA + PAGE }),
  add('size-zero', 'a region of no bytes', { ...NEXT, size: 0 }),
  add('gpa-wraps', 'gpa + size over 2^64', { ...NEXT, gpa: MAX_U64 - 0xfffn }),
  add('file-short', 'a region beyond the end of the file', { ...NEXT, offset: RAM_SIZE - PAGE }),
  remove('unknown', 'a region that there is not', NEXT),
  remove('other-size', 'half of a region', { ...REGION, size: RAM_SIZE / 2 }),
  remove('max', 'a region of all ones', { gpa: MAX_U64, size: MAX_U64, user: MAX_U64, offset: MAX_U64 }),
  slots(
    'remove-while-running',
    'REM_MEM_REG of the memory of a running ring, and a kick',
    (session) => {
      session.tell('REM_MEM_REG', singleRegion(REGION));
      offerHonestly(session, session.ring());
      session.provoke(session.ring());
    },
    { ...SLOTS, stage: 'running' },
  ),
  slots(
    'add-too-many',
    'ADD_MEM_REG of 600 regions of one page',
    (session) => {
      for (let index = 0; index < 600 && session.state === 'open'; index++) {
        session.tell('ADD_MEM_REG', singleRegion({ ...far(index), size: PAGE }), [session.ram.file.fd]);
      }
    },
    SLOTS,
  ),
];
