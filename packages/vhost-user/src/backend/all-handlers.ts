/** Which module serves which message of the front-end. */
import type { RefusalLog } from '../refusal-log.ts';
import { ConfigSpace } from './config-space.ts';
import type { ConnectionCore } from './core.ts';
import type { BackendOptions } from './options.ts';
import type { RequestHandlers } from './requests.ts';
import { resetRequests } from './reset-requests.ts';
import { shmConfigRequests } from './shm-config.ts';
import { socketRequests } from './socket-requests.ts';

/** The modules that serve messages. */
type Serving = Pick<
  ConnectionCore,
  'negotiation' | 'table' | 'inflight' | 'logging' | 'deviceState' | 'sharedObjects' | 'rings' | 'backChannel'
>;

/** The handlers of one connection. @param reset - of the device */
export function allHandlers(
  { sys, handler }: Pick<BackendOptions, 'sys' | 'handler'>,
  modules: Serving,
  refusals: RefusalLog,
  reset: () => void,
): RequestHandlers {
  const { rings } = modules;
  return {
    ...modules.negotiation.handlers,
    ...modules.table.handlers,
    ...modules.inflight.handlers,
    ...(handler.dirtyLog === true ? modules.logging.memory.handlers : {}),
    ...modules.deviceState.handlers,
    ...modules.sharedObjects.handlers,
    ...rings.handlers,
    ...socketRequests(sys, handler, modules.backChannel),
    ...shmConfigRequests(handler.shmRegions),
    ...new ConfigSpace(handler, refusals).handlers,
    ...resetRequests({ owner: () => rings.disableAll(), device: reset }),
  };
}
