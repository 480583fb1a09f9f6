//! A dump copied through an io_uring: bytes move in no system call that names a file.

use sensor_abi::flow::Via;
use sensor_user::step::StepKind;

use super::{Shared, copy::by_python};
use crate::harness::{expect::step, scene::Scene};

pub(super) const ALL: &[Shared] = &[("uring::plain", plain), ("uring::fixed", fixed), ("uring::sqpoll", sqpoll)];

fn plain(scene: &Scene<'_>) {
    copied(scene, "plain");
}

fn fixed(scene: &Scene<'_>) {
    copied(scene, "fixed");
}

fn sqpoll(scene: &Scene<'_>) {
    copied(scene, "sqpoll");
}

/// Python that copies file `a` to file `b`.
pub(super) fn copier(mode: &str) -> String {
    format!("mode = '{mode}'\n{}{}", include_str!("ring.py"), include_str!("uring.py"))
}

fn copied(scene: &Scene<'_>, mode: &str) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let by = by_python(scene, &dump, &copy, &copier(mode));
    let ring = |kind| step(kind).via(Via::IoUring).bytes(dump.size);
    scene.sees(&dump, &ring(StepKind::Read).from(&dump.path).to(&by).hops(1));
    scene.sees(&dump, &ring(StepKind::Written).from(&by).to(&copy).hops(2));
}
