/** wl_registry: which globals a client sees. Those whose messages nobody here knows stay hidden, and so do newer versions. */
import { WlError } from '@oriel/wl';
import { ProxyError } from '../errors.ts';
import type { Hooks, WlObject } from './objects.ts';

/** wl_display.error */
const WL_DISPLAY_ERROR_INVALID_OBJECT = 0;

interface Global {
  readonly interfaceName: string;
  readonly version: number;
}

/** The globals that one client was told of; a removed one can still be bound for a moment. */
export class Globals {
  readonly visible = new Map<number, Global>();
  readonly hidden = new Set<number>();
}

function refuse(registry: WlObject, why: string): ProxyError {
  const wayland = { objectId: registry.id, code: WL_DISPLAY_ERROR_INVALID_OBJECT };
  return new ProxyError('ERR_PROXY_CLIENT', why, wayland);
}

/** Events of the registry. */
export const globalEvents: Hooks = {
  'wl_registry.global'(translation, { args, bytes, view }) {
    const [name, interfaceName, version] = [args.uint(0), args.text(1), args.uint(2)];
    const known = translation.kinds.get(interfaceName)?.interface.version;
    if (known === undefined) {
      translation.globals.hidden.add(name);
      translation.log.debug('a global is hidden', { interface: interfaceName });
      return;
    }
    translation.globals.hidden.delete(name);
    const offered = Math.min(version, known);
    translation.globals.visible.set(name, { interfaceName, version: offered });
    view.setUint32(args.offset(2), offered, true);
    translation.toClient.queue(bytes);
  },
  'wl_registry.global_remove'(translation, { args, bytes }) {
    if (!translation.globals.hidden.delete(args.uint(0))) translation.toClient.queue(bytes);
  },
};

/** Requests of the registry. */
export const globalRequests: Hooks = {
  'wl_registry.bind'(translation, { object, args, bytes }) {
    const [name, interfaceName, version, id] = [args.uint(0), args.text(1), args.uint(2), args.uint(3)];
    const global = translation.globals.visible.get(name);
    if (global?.interfaceName !== interfaceName || version === 0 || version > global.version) {
      throw refuse(object, `bind of global ${name} as ${interfaceName} version ${version}`);
    }
    const kind = translation.kinds.get(interfaceName);
    if (kind === undefined) throw new WlError('ERR_WL_OBJECT', interfaceName);
    translation.objects.add(id, 'client', { id, kind, data: undefined });
    translation.toHost.add(bytes);
  },
};
