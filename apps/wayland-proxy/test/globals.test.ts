import { interfaceOf } from '@oriel/wl';
import { expect } from 'chai';
import { withDesk } from './support/desk.ts';

const REGISTRY = 2;

describe('wl_registry', () => {
  it(
    'hides what nobody here knows, and what descriptors cannot pass for',
    withDesk(({ client, host, settle }) => {
      client.request(1, 'wl_display', 'get_registry', [REGISTRY]);
      settle();
      const hidden = [
        'zwp_linux_dmabuf_v1',
        'wp_linux_drm_syncobj_manager_v1',
        'wl_drm',
        'wp_security_context_manager_v1',
        'x_y',
      ];
      for (const [index, name] of hidden.entries()) host.event(REGISTRY, 'wl_registry', 'global', [index, name, 1]);
      host.event(REGISTRY, 'wl_registry', 'global', [50, 'wl_seat', 5]);
      host.event(REGISTRY, 'wl_registry', 'global', [51, 'wl_compositor', 900]);
      for (const index of hidden.keys()) host.event(REGISTRY, 'wl_registry', 'global_remove', [index]);
      host.event(REGISTRY, 'wl_registry', 'global_remove', [50]);
      settle();
      expect(client.events.map(({ opcode, words }) => [opcode, words[0], words.at(-1)])).to.deep.equal([
        [0, 50, 5],
        [0, 51, interfaceOf('wl_compositor')!.version],
        [1, 50, 50],
      ]);
    }),
  );

  it(
    'passes a bind of what was offered, byte for byte',
    withDesk(({ client, host, settle }) => {
      client.request(1, 'wl_display', 'get_registry', [REGISTRY]);
      settle();
      host.event(REGISTRY, 'wl_registry', 'global', [50, 'wl_seat', 5]);
      settle();
      host.requests();
      const bytes = client.request(REGISTRY, 'wl_registry', 'bind', [50, 'wl_seat', 5, 3]);
      const next = client.request(3, 'wl_seat', 'get_keyboard', [4]);
      settle();
      expect(host.requests().map((request) => request.bytes)).to.deep.equal([bytes, next]);
    }),
  );

  for (const [what, bind] of Object.entries({
    'a global that is hidden': [7, 'zwp_linux_dmabuf_v1', 1],
    'a version that was not offered': [50, 'wl_seat', 6],
    'another interface than the global has': [50, 'wl_output', 1],
    'a global that is not there': [51, 'wl_seat', 1],
  } as Record<string, [number, string, number]>)) {
    it(
      `ends a client that binds ${what}`,
      withDesk(({ client, host, settle, closed }) => {
        client.request(1, 'wl_display', 'get_registry', [REGISTRY]);
        settle();
        host.event(REGISTRY, 'wl_registry', 'global', [50, 'wl_seat', 5]);
        host.event(REGISTRY, 'wl_registry', 'global', [7, 'zwp_linux_dmabuf_v1', 5]);
        settle();
        host.requests();
        client.request(REGISTRY, 'wl_registry', 'bind', [...bind, 3]);
        settle();
        expect(closed()).to.equal(true);
        expect(host.requests()).to.deep.equal([]);
        expect(client.events.at(-1)!.words.slice(0, 2)).to.deep.equal([REGISTRY, 0]);
      }),
    );
  }
});
