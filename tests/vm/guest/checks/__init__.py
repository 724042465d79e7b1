"""The checks that run in the guest: `CHECKS`, by name, in their order."""

from vm.guest.check import Check
from vm.guest.checks import camera, reading, running

CHECKS = {
    name: value
    for module in (reading, running, camera)
    for name, value in vars(module).items()
    if isinstance(value, Check)
}
