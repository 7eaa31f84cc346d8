/** Sizes and offsets as rutabaga's cross_domain_protocol.rs, sommelier's and muvm's headers have them. */
import { expect } from 'chai';
import * as L from '../src/protocol/layout.ts';

describe('the layouts', () => {
  const sizes: Record<string, readonly [{ readonly byteLength: number }, number]> = {
    CrossDomainCapabilities: [L.CrossDomainCapabilities, 16],
    CrossDomainHeader: [L.CrossDomainHeader, 8],
    CrossDomainInitLegacy: [L.CrossDomainInitLegacy, 16],
    CrossDomainInit: [L.CrossDomainInit, 20],
    CrossDomainInitVersioned: [L.CrossDomainInitVersioned, 24],
    CrossDomainInitUuid: [L.CrossDomainInitUuid, 36],
    CrossDomainGetImageRequirements: [L.CrossDomainGetImageRequirements, 24],
    CrossDomainImageRequirements: [L.CrossDomainImageRequirements, 64],
    CrossDomainPoll: [L.CrossDomainPoll, 16],
    CrossDomainSendReceive: [L.CrossDomainSendReceive, 352],
    CrossDomainSendReceiveOld: [L.CrossDomainSendReceiveOld, 64],
    CrossDomainReadWrite: [L.CrossDomainReadWrite, 24],
    CrossDomainHandle: [L.CrossDomainHandle, 32],
    CrossDomainId: [L.CrossDomainId, 16],
    CrossDomainAssignSocketUuid: [L.CrossDomainAssignSocketUuid, 32],
  };
  for (const [name, [layout, size]] of Object.entries(sizes)) {
    it(`${name} has ${size} bytes`, () => {
      expect(layout.byteLength).to.equal(size);
    });
  }

  it('have their fields where guests put them', () => {
    const offsets = {
      cmdSize: L.CrossDomainHeader.cmdSize.offset,
      legacyChannelType: L.CrossDomainInitLegacy.channelType.offset,
      channelRingId: L.CrossDomainInit.channelRingId.offset,
      channelType: L.CrossDomainInit.channelType.offset,
      uuid: L.CrossDomainInitUuid.uuid.offset,
      drmFormat: L.CrossDomainGetImageRequirements.drmFormat.offset,
      modifier: L.CrossDomainImageRequirements.modifier.offset,
      blobId: L.CrossDomainImageRequirements.blobId.offset,
      identifierTypes: L.CrossDomainSendReceive.identifierTypes.offset,
      identifierSizes: L.CrossDomainSendReceive.identifierSizes.offset,
      oldIdentifierTypes: L.CrossDomainSendReceiveOld.identifierTypes.offset,
      hangUp: L.CrossDomainReadWrite.hangUp.offset,
      handle: L.CrossDomainHandle.handle.offset,
      handleId: L.CrossDomainHandle.id.offset,
      assignedId: L.CrossDomainAssignSocketUuid.id.offset,
    };
    expect(offsets).to.deep.equal({
      cmdSize: 2,
      legacyChannelType: 12,
      channelRingId: 12,
      channelType: 16,
      uuid: 20,
      drmFormat: 16,
      modifier: 32,
      blobId: 48,
      identifierTypes: 128,
      identifierSizes: 240,
      oldIdentifierTypes: 32,
      hangUp: 12,
      handle: 16,
      handleId: 24,
      assignedId: 24,
    });
  });
});
