import { BackendRegion, type MapRequest, type RegionLimits } from '@oriel/shm-region';
import { MockTransport, testLimits } from '@oriel/shm-region/testing';

export const PAGE = 4096;

/** A region of 16 pages over a transport that answers when told, and a record of what callers were told. */
export function setUp(changes: Partial<RegionLimits> = {}) {
  const transport = new MockTransport();
  const region = new BackendRegion({ shmid: 1, size: 16 * PAGE, limits: testLimits(changes) });
  region.setTransport(transport);
  const told: string[] = [];
  const tell = (name: string) => (error: number) => void told.push(`${name} ${error}`);
  /** Maps `pages` pages from `page` on, for an owner of its own unless one is given. */
  const map = (name: string, page: number, pages: number, more: Partial<MapRequest> = {}) => {
    const place = { fd: 7, fdOffset: 0, shmOffset: page * PAGE, len: pages * PAGE, writable: true };
    region.map({ ...place, owner: { name }, label: name, ...more }, tell(name));
  };
  const unmap = (name: string, page: number, pages: number) => region.unmap(page * PAGE, pages * PAGE, tell(name));
  /** The ledger as text, in pages: `a@0+2 live`. */
  const ledger = () =>
    region.entries().map(({ label, shmOffset, len, state }) => `${label}@${shmOffset / PAGE}+${len / PAGE} ${state}`);
  /** What was sent, in pages: `map 0+2`. */
  const sent = () => transport.sent.map(({ kind, wire }) => `${kind} ${wire.shmOffset / PAGE}+${wire.len / PAGE}`);
  return { transport, region, told, tell, map, unmap, ledger, sent };
}
