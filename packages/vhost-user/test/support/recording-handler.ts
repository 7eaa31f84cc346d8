/** A device that records what it is asked, and does as told. */
import type { Fd } from '@oriel/sys';
import { type BackendHandler, FeatureSet, type RingSetup } from '../../src/index.ts';

export class RecordingHandler implements BackendHandler {
  features = FeatureSet.of(0, 29, 32);
  queueCount = 2;
  maxQueueSize = 256;
  configSize = 44;
  shmRegions: { shmid: number; size: number }[] = [{ shmid: 0, size: 0x10000 }];
  config = Uint8Array.from({ length: 44 }, (_, index) => index + 1);
  /** What was called, in order: 'start 0 base 5'. */
  readonly calls: string[] = [];
  readonly rings = new Map<number, RingSetup>();
  readonly callFds = new Map<number, number>();
  /** Base that stopRing answers; without one the base of the start. */
  readonly bases = new Map<number, number>();
  gpuSocket: Fd | null = null;
  /** Called at the named calls; may throw. */
  on: Partial<
    Record<'features' | 'memory' | 'start' | 'stop' | 'resumed' | 'suspended' | 'reset' | 'config', () => void>
  > = {};

  readConfig(offset: number, into: Uint8Array): void {
    this.calls.push(`readConfig ${offset}+${into.length}`);
    into.set(this.config.subarray(offset, offset + into.length));
    this.on.config?.();
  }

  writeConfig(offset: number, from: Uint8Array): void {
    this.calls.push(`writeConfig ${offset}+${from.length}`);
    this.config.set(from, offset);
    this.on.config?.();
  }

  setFeatures(features: FeatureSet): void {
    this.calls.push(`features ${features}`);
    this.on.features?.();
  }

  memoryChanged(): void {
    this.calls.push('memory');
    this.on.memory?.();
  }

  startRing(ring: RingSetup): void {
    this.calls.push(`start ${ring.index} base ${ring.base}`);
    this.on.start?.();
    this.rings.set(ring.index, ring);
  }

  stopRing(index: number): number {
    const ring = this.rings.get(index);
    this.rings.delete(index);
    this.calls.push(`stop ${index}`);
    this.on.stop?.();
    return this.bases.get(index) ?? ring?.base ?? 0;
  }

  setCall(index: number, fd: number): void {
    this.callFds.set(index, fd);
    this.calls.push(`call ${index} ${fd < 0 ? 'none' : 'fd'}`);
  }

  resumed(): void {
    this.calls.push('resumed');
    this.on.resumed?.();
  }

  suspended(): void {
    this.calls.push('suspended');
    this.on.suspended?.();
  }

  reset(): void {
    this.calls.push('reset');
    this.on.reset?.();
  }

  disconnected(reason: string): void {
    this.calls.push(`disconnected: ${reason}`);
  }

  /** The calls since the last time, and forgets them. */
  take(): string[] {
    return this.calls.splice(0);
  }
}
