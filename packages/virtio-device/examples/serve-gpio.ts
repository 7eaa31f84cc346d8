/**
 * Shows a guest's lamps on this terminal until a front-end came and left: `node examples/serve-gpio.ts /tmp/gpio.sock`. A wire
 * leads from each lamp to the key of the same number.
 */
import { BlockingLoop, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { GpioDevice } from './gpio/device.ts';

const sys = openSys();
using loop = new BlockingLoop(sys);
using device = new GpioDevice({
  onLamp: (lamp, on) => {
    console.log(`lamp ${lamp} is ${on ? 'on' : 'off'}`);
    device.setKey(lamp, on);
  },
});
using _server = serve(device, {
  sys,
  loop,
  profile: profileFor('qemu', sys.mem.pageSize),
  socketPath: process.argv[2] ?? '/tmp/oriel-gpio.sock',
  maxConnections: 1,
  onEvent: (event, detail) => console.log(event, detail),
});
loop.run();
