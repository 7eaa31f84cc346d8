/** One blob in the window, from the request for it to its end. */
import { type FileIdentity, fileIdentity } from '@oriel/guest-memory';
import type { MapRequest, ShmRegion } from '@oriel/shm-region';
import type { Sys } from '@oriel/sys';
import type { HostBlob } from '../contexts/context-type.ts';
import type { GpuStatus } from '../protocol/values.ts';
import type { Resource } from '../resources/resource.ts';

/** Comes once with the answer. */
export type Done = (status: GpuStatus) => void;

export interface Mapping {
  readonly resource: Resource;
  readonly host: HostBlob;
  readonly shmOffset: number;
  readonly len: number;
  /** The blob's file, as the front-end will announce it. */
  readonly file: FileIdentity | null;
  /** What was wrong with the file when the request was about to be sent. */
  fault: string | null;
  state: 'mapping' | 'live' | 'unmapping';
  /** Waits for the answer of the map. */
  mapped: Done | null;
  /** Wait for the end of the mapping. */
  readonly unmapped: Done[];
  /** The resource was given away: it is disposed at the end of the mapping. */
  dropped: boolean;
  /** A stop came first: the region is to be asked again when it may send. */
  due: boolean;
}

/** A mapping that is to be asked for. */
export function newMapping(
  sys: Pick<Sys, 'file'>,
  resource: Resource,
  host: HostBlob,
  place: { readonly shmOffset: number; readonly len: number },
): Mapping {
  return {
    resource,
    host,
    ...place,
    file: fileIdentity(sys, host.fd),
    fault: null,
    state: 'mapping',
    mapped: null,
    unmapped: [],
    dropped: false,
    due: false,
  };
}

/** Bytes in the window: whole pages. */
export function lengthOf({ size }: Resource, { limits: { pageSize } }: ShmRegion): number {
  return Math.ceil(size / pageSize) * pageSize;
}

/** What the region is asked for. */
export function mapRequest({ resource, host, shmOffset, len }: Mapping): MapRequest {
  const { fd, fdOffset, label } = host;
  return { fd, fdOffset, shmOffset, len, writable: true, owner: resource, label: `${label}, resource ${resource.id}` };
}
