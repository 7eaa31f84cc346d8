/** A context type of one's own: guest programs that ask for capset 29 find a greeting in each blob that they make. */
import { type ContextType, MemoryContextType, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER } from '@oriel/gpu-blob';
import type { Sys } from '@oriel/sys';

const text = new TextEncoder();

/** Makes the type; `memory` allocates for it. */
export function greetingType(sys: Sys, greeting: string, memory = new MemoryContextType({ sys })): ContextType {
  return {
    capsetId: 29,
    name: 'greeting',
    maxVersion: 0,
    capset: text.encode(greeting),
    create(host, program) {
      const context = memory.create();
      return {
        submit: (_commands, done) => done(VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER),
        fence: (_ring, done) => done(),
        createBlob(request) {
          const blob = context.createBlob(request);
          if (typeof blob === 'number') return blob;
          const bytes = text.encode(`${greeting}, ${program}`).subarray(0, blob.size);
          host.sys.fd.pwrite(blob.fd, bytes, bytes.length, blob.fdOffset);
          return blob;
        },
        [Symbol.dispose]: () => context[Symbol.dispose](),
      };
    },
  };
}
