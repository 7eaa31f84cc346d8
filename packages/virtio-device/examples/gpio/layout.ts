/** The virtio-gpio formats (VIRTIO 1.3, 5.18; linux/virtio_gpio.h), little-endian. */
import { struct, U8, U16, U32 } from '@oriel/layout';

export const VIRTIO_ID_GPIO = 41;
/** Feature bit: the event queue and SET_IRQ_TYPE. */
export const VIRTIO_GPIO_F_IRQ = 0;

/** `type` of a request. */
export const VIRTIO_GPIO_MSG_GET_NAMES = 1;
export const VIRTIO_GPIO_MSG_GET_DIRECTION = 2;
export const VIRTIO_GPIO_MSG_SET_DIRECTION = 3;
export const VIRTIO_GPIO_MSG_GET_VALUE = 4;
export const VIRTIO_GPIO_MSG_SET_VALUE = 5;
export const VIRTIO_GPIO_MSG_IRQ_TYPE = 6;

export const VIRTIO_GPIO_STATUS_OK = 0;
export const VIRTIO_GPIO_STATUS_ERR = 1;

export const VIRTIO_GPIO_DIRECTION_NONE = 0;
export const VIRTIO_GPIO_DIRECTION_OUT = 1;
export const VIRTIO_GPIO_DIRECTION_IN = 2;

/** Bits; both of them mean either edge. Levels (4 and 8) are refused here. */
export const VIRTIO_GPIO_IRQ_TYPE_NONE = 0;
export const VIRTIO_GPIO_IRQ_TYPE_EDGE_RISING = 1;
export const VIRTIO_GPIO_IRQ_TYPE_EDGE_FALLING = 2;
export const VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH = 3;

/** `status` in an answer of the event queue. */
export const VIRTIO_GPIO_IRQ_STATUS_INVALID = 0;
export const VIRTIO_GPIO_IRQ_STATUS_VALID = 1;

export const VirtioGpioConfig = struct('virtio_gpio_config', { ngpio: U16, padding: U16, gpioNamesSize: U32 });
export const VirtioGpioRequest = struct('virtio_gpio_request', { type: U16, gpio: U16, value: U32 });
export const VirtioGpioResponse = struct('virtio_gpio_response', { status: U8, value: U8 });
export const VirtioGpioIrqRequest = struct('virtio_gpio_irq_request', { gpio: U16 });
export const VirtioGpioIrqResponse = struct('virtio_gpio_irq_response', { status: U8 });
