"""The order of the training images: which are skipped, which are seen twice, and when."""

import pytest
import torch
from test_training import recipe, trainer_for

from deepen.training.order import ImageOrder

IMAGES, BATCH = 40, 8
PER_EPOCH = IMAGES // BATCH


def make_order(share=0.25, epochs=8.0, images=IMAGES):
    return ImageOrder(torch.zeros(images, dtype=torch.int64), BATCH, round(epochs * (images // BATCH)), share)


def draw(order, epoch, seed=0):
    return order.draw(epoch, torch.Generator().manual_seed(1000 * seed + epoch))


def see(order, epoch, losses):
    """Draw an epoch and record the losses (images,) of all that it has, batch by batch; return the numbers seen."""
    rows = draw(order, epoch)
    steps = len(rows) // BATCH
    for step, batch in enumerate(rows[: steps * BATCH].view(steps, BATCH)):
        order.record(step, losses[batch])
    return rows


def test_without_skipping_each_epoch_has_each_image_once_and_nothing_is_kept():
    order = make_order(share=0.0)
    for epoch in (1, 2, 5):
        expected = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(epoch))
        assert torch.equal(see(order, epoch, torch.rand(IMAGES)), expected)
    assert order.get_state() == {}
    loss = torch.tensor(2.0)
    assert order.add_losses(loss, torch.zeros(BATCH, 3), torch.arange(BATCH), slice(None)).tolist() == [2.0]


def test_a_share_of_the_easiest_images_gives_way_to_second_views_of_others():
    order, losses = make_order(), torch.arange(IMAGES).float()  # image 0 is the easiest
    assert sorted(see(order, 1, losses).tolist()) == list(range(IMAGES))
    skipped = []
    for epoch in range(2, 7):
        rows = see(order, epoch, losses).tolist()
        seen, again = rows[:30], rows[30:]
        skipped.append(set(range(IMAGES)) - set(seen))
        assert len(rows) == IMAGES
        assert len(set(seen)) == 30
        assert len(set(again)) == 10
        assert set(again) <= set(seen)
        assert again != seen[:10]
        assert skipped[-1] <= set(range(13))  # ten of the 12 easiest, 12.5 rounded to even
    assert len({frozenset(each) for each in skipped}) > 1
    assert set.union(*skipped) - set.intersection(*skipped)  # they come back now and then


def test_an_image_counts_by_its_loss_when_it_was_last_seen():
    order, easy_then_hard = make_order(), torch.arange(IMAGES).float()
    see(order, 1, easy_then_hard)
    skipped = set(range(IMAGES)) - set(see(order, 2, easy_then_hard.flip(0)).tolist())
    again = set(range(IMAGES)) - set(draw(order, 3).tolist())
    assert skipped <= set(range(13))
    easiest = sorted(range(IMAGES), key=lambda image: image if image in skipped else IMAGES - 1 - image)[:12]
    assert again <= set(easiest)


def test_second_views_do_not_count():
    order = make_order()
    see(order, 1, torch.zeros(IMAGES))
    rows = draw(order, 2)
    for step, batch in enumerate(rows.view(PER_EPOCH, BATCH)):
        order.record(step, torch.full((len(batch),), float(step)))
    latest = order.get_state()["image_losses"]
    first = {
        image: step for step, batch in reversed([*enumerate(rows.view(PER_EPOCH, BATCH).tolist())]) for image in batch
    }
    assert all(latest[image] == step for image, step in first.items())


def test_the_first_epoch_and_the_last_eighth_of_the_steps_have_each_image():
    order, whole = make_order(epochs=16), []
    for epoch in range(1, 17):
        rows = see(order, epoch, torch.arange(IMAGES).float())
        whole.append(len(set(rows.tolist())) == IMAGES)
    assert [epoch for epoch, each in enumerate(whole, 1) if each] == [1, 15, 16]


def test_images_that_were_never_seen_count_as_hard():
    order = ImageOrder(torch.zeros(43, dtype=torch.int64), BATCH, 40, 0.25)  # an epoch leaves out three
    unseen = set(see(order, 1, torch.zeros(43))[40:].tolist())
    assert len(unseen) == 3
    assert unseen <= set(draw(order, 2)[:32].tolist())


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5])
@pytest.mark.parametrize("images", [3, 7, 8, 9, 41, 43])
def test_every_share_fills_the_epoch(images, share):
    order = ImageOrder(
        torch.zeros(images, dtype=torch.int64), min(images, BATCH), 4 * (images // min(images, BATCH)), share
    )
    for epoch in range(1, 5):
        rows = draw(order, epoch).tolist()
        skipped = 0 if epoch in (1, 5) else min(round(share * images), images // 2)
        assert len(rows) == images
        assert len(set(rows)) == images - skipped
        assert sorted(set(rows)) == sorted(rows[: images - skipped])


def test_losses_are_those_of_each_image_without_smoothing_and_of_this_part_alone():
    order = ImageOrder(torch.tensor([2, 0, 1, 2]), 4, 8, 0.25)
    logits, rows = torch.tensor([[0.0, 1, 2], [3, 0, 1]]), torch.tensor([3, 1, 0, 2])
    found = order.add_losses(torch.tensor(7.0), logits, rows, slice(1, 3))
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]), reduction="none")
    assert torch.equal(found, torch.cat([torch.tensor([7.0, 0]), expected, torch.zeros(1)]))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("stop", [3, 7, 8, 15, 16, 20, 23])
def test_a_training_that_stops_at_any_step_goes_on_with_the_same_images(colored, stop):
    """60 images in batches of 8 are 7 steps an epoch: within an epoch, at its end and after its first step."""
    changes = recipe(skip_easy=0.4)
    whole = trainer_for(colored, changes, epochs=4)
    for epoch in range(1, 5):
        whole.run_epoch(epoch, lambda: None)
    stopped = trainer_for(colored, changes, epochs=4)

    def after_step():
        if stopped.step == stop:
            raise Stopped

    with pytest.raises(Stopped):
        list(map(stopped.run_epoch, range(1, 5), [after_step] * 4))
    resumed = trainer_for(colored, changes, epochs=4)
    resumed.restore(stop, {name: tensor.clone() for name, tensor in stopped.get_state().items()})
    for epoch in range(stop // 7 + 1, 5):
        resumed.run_epoch(epoch, lambda: None)
    one, other = whole.get_state(), resumed.get_state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["image_losses"], torch.full_like(one["image_losses"], torch.inf))


def test_skipping_changes_a_training(colored):
    plain, skipping = (trainer_for(colored, recipe(skip_easy=share), epochs=3) for share in (0.0, 0.3))
    first = [trainer.run_epoch(1, lambda: None) for trainer in (plain, skipping)]
    second = [trainer.run_epoch(2, lambda: None) for trainer in (plain, skipping)]
    assert first[0] == first[1]
    assert second[0] != second[1]
