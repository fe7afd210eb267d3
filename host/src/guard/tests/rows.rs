//! Each row that concerns one entry alone.

use std::time::Duration;

use super::bench::{Bench, Step, at, silent};
use crate::guard::Kind::{Annotation, Empty, Module, Rebound, Removal};
use crate::guard::{HoldTime, Release};

#[track_caller]
fn check(live: &str, steps: Vec<Step>) {
    Bench::new(live, "ns/now").check(steps);
}

#[track_caller]
fn check_empty_hold(hold: HoldTime, live: &str, steps: Vec<Step>) {
    let mut bench = Bench::new(live, "ns/now");
    bench.settings.empty_hold = hold;
    bench.check(steps);
}

#[test]
fn what_comes_and_what_is_taken_out_of_service_goes_through_at_once() {
    check("", vec![at(0, "ab", "ab", &[]), at(1, "abc", "abc", &[]), at(1, "bc", "bc", &[])]);
    check("abcd", vec![at(0, "abCD", "ab", &[]), at(1, "ABCD", "", &[]), at(2, "abcd", "abcd", &[])]);
    check("abcd", vec![at(0, "ABCD", "", &[])]);
}

#[test]
fn an_empty_service_is_held_and_then_cleared() {
    check(
        "ab",
        vec![
            at(0, "ab", "ab", &[]),
            at(60, "", "ab", &[Empty]),
            at(200, "-", "ab", &[Empty]),
            at(359, "", "ab", &[Empty]),
            at(360, "", "", &[]),
            at(400, "-", "", &[]),
            at(500, "c", "c", &[]),
            at(600, "", "c", &[Empty]),
        ],
    );
    check("", vec![at(0, "", "", &[])]);
}

#[test]
fn what_was_never_healthy_replaces_nothing() {
    // A registry that is restored from an old backup lists what is long gone; those that serve register again later.
    check("ab", vec![at(0, "ab", "ab", &[]), at(1, "23", "abcd", &[Removal]), at(2, "23ab", "ab", &[])]);
    check(
        "ab",
        vec![
            at(0, "ab", "ab", &[]),
            at(1, "23", "abcd", &[Removal]),
            at(100, "23", "abcd", &[Removal]),
            at(301, "23", "cd", &[]),
        ],
    );
    // One that becomes healthy does replace.
    check("ab", vec![at(0, "ab", "ab", &[]), at(1, "23", "abcd", &[Removal]), at(2, "cd", "cd", &[])]);
    // Nobody reports the health of this service.
    check("", vec![at(0, "0123", "abcd", &[]), at(1, "4567", "efgh", &[]), at(2, "4", "e", &[])]);
    // The health checker failed for those that were known, which count as before.
    check("abcd", vec![at(0, "abcd", "abcd", &[]), at(1, "0123", "abcd", &[]), at(2, "012", "abc", &[])]);
}

#[test]
fn no_hold_ends_while_the_registry_is_silent() {
    check(
        "ab",
        vec![
            at(0, "", "ab", &[Empty]),
            at(1, "", "ab", &[Empty]),
            at(2, "", "ab", &[Empty]),
            silent(300, "ab", &[Empty]).unanswered(),
            silent(4_000, "ab", &[Empty]).unanswered(),
            at(4_001, "ab", "ab", &[]),
        ],
    );
    check(
        "ab",
        vec![
            at(0, "", "ab", &[Empty]),
            at(1, "", "ab", &[Empty]),
            at(2, "", "ab", &[Empty]),
            silent(4_000, "ab", &[Empty]).unanswered(),
            silent(4_001, "", &[]),
        ],
    );
}

#[test]
fn an_empty_hold_of_other_lengths() {
    check_empty_hold(HoldTime::Never, "a", vec![at(0, "", "a", &[Empty]), at(9_999_999, "-", "a", &[Empty])]);
    check_empty_hold(HoldTime::For(Duration::ZERO), "a", vec![at(0, "", "", &[])]);
}

#[test]
fn a_mass_removal_needs_time_and_two_more_answers() {
    check(
        "abcd",
        vec![
            at(0, "abcd", "abcd", &[]),
            at(1, "a", "abcd", &[Removal]),
            at(2, "a", "abcd", &[Removal]),
            at(3, "a", "abcd", &[Removal]),
            // Three of four: longer than a little more than half, shorter than all.
            at(55, "a", "abcd", &[Removal]),
            at(56, "a", "a", &[]),
        ],
    );
    check(
        "abcd",
        vec![
            at(0, "a", "abcd", &[Removal]),
            silent(60, "abcd", &[Removal]),
            at(61, "a", "abcd", &[Removal]),
            at(62, "a", "a", &[]),
        ],
    );
}

#[test]
fn what_is_no_mass_goes_at_once() {
    check("abcd", vec![at(0, "ab", "ab", &[])]);
    check("abc", vec![at(0, "a", "a", &[])]);
    check("abcd", vec![at(0, "abC", "ab", &[])]);
    let mut bench = Bench::new("abcd", "ns/now");
    bench.settings.removal_hold = HoldTime::For(Duration::ZERO);
    bench.check(vec![at(0, "a", "a", &[])]);
}

#[test]
fn during_a_removal_hold() {
    // New instances come, isolated ones go. One that is listed again is held no more, and its clock starts anew.
    check(
        "abcd",
        vec![
            at(0, "a", "abcd", &[Removal]),
            at(1, "ae", "abcde", &[Removal]),
            at(2, "aeB", "acde", &[Removal]),
            at(3, "aecd", "aecd", &[]),
            at(4, "e", "aecd", &[Removal]),
            at(58, "e", "aecd", &[Removal]),
            at(59, "e", "e", &[]),
        ],
    );
    // What vanishes later has an end of its own, and the more is gone, the later is every end.
    check(
        "abcdefgh",
        vec![
            at(0, "abc", "abcdefgh", &[Removal]),
            at(5, "ab", "abcdefgh", &[Removal]),
            at(54, "ab", "abcdefgh", &[Removal]),
            at(55, "ab", "abc", &[Removal]),
            at(60, "ab", "ab", &[]),
        ],
    );
    check(
        "abcdefghij",
        vec![
            at(0, "abcd", "abcdefghij", &[Removal]),
            at(5, "a", "abcdefghij", &[Removal]),
            at(151, "a", "abcdefghij", &[Removal]),
            at(152, "a", "abcd", &[Removal]),
            at(157, "a", "a", &[]),
        ],
    );
    let mut bench = Bench::new("abcd", "ns/now");
    bench.settings.removal_hold = HoldTime::Never;
    bench.check(vec![
        at(0, "a", "abcd", &[Removal]),
        at(1, "a", "abcd", &[Removal]),
        at(9_999, "a", "abcd", &[Removal]),
    ]);
}

#[test]
fn from_a_mass_to_nothing_and_back() {
    check(
        "abcd",
        vec![
            at(0, "a", "abcd", &[Removal]),
            at(5, "", "abcd", &[Empty]),
            at(20, "", "abcd", &[Empty]),
            at(299, "", "abcd", &[Empty]),
            at(300, "", "a", &[Empty]),
            at(305, "", "", &[]),
        ],
    );
    // Those that come back after an empty answer make no other one's end earlier.
    check(
        "abcd",
        vec![
            at(0, "-", "abcd", &[Empty]),
            at(100, "d", "abcd", &[Removal]),
            at(105, "cd", "abcd", &[Removal]),
            at(299, "cd", "abcd", &[Removal]),
            at(300, "cd", "cd", &[]),
        ],
    );
    // However few there are.
    check(
        "ab",
        vec![
            at(0, "-", "ab", &[Empty]),
            at(100, "b", "ab", &[Removal]),
            at(101, "bC", "ab", &[Removal]),
            at(102, "bA", "b", &[]),
        ],
    );
}

#[test]
fn what_is_replaced_is_no_loss() {
    check("ab", vec![at(0, "ab", "ab", &[]), at(1, "cd", "cd", &[]), at(2, "de", "de", &[])]);
    // A hold ends early where as many are listed as there were.
    check(
        "abcd",
        vec![at(0, "e", "abcde", &[Removal]), at(1, "efg", "abcdefg", &[Removal]), at(2, "efgh", "efgh", &[])],
    );
}

#[test]
fn many_small_losses_are_one() {
    check(
        "abcdefghijklmnop",
        vec![
            at(0, "abcdefghi", "abcdefghi", &[]),
            at(1, "abcde", "abcdefghi", &[Removal]),
            at(2, "abc", "abcdefghi", &[Removal]),
            at(3, "a", "abcdefghi", &[Removal]),
        ],
    );
    // After ten minutes it is another loss.
    check("abcdefgh", vec![at(0, "abcd", "abcd", &[]), at(1, "abcd", "abcd", &[]), at(700, "ab", "ab", &[])]);
}

#[test]
fn a_module_that_is_taken_back_ends_no_hold_of_the_registry() {
    check(
        "abcd",
        vec![
            at(0, "a", "abcd", &[Removal]),
            at(1, "a", "abcd", &[Removal]).swapped().restored(),
            at(2, "", "abcd", &[Empty]).restored(),
        ],
    );
    check(
        "abcd",
        vec![at(0, "abcd", "abcd", &[Module]).drops("ab"), at(1, "abcd", "cd", &[]).drops("ab").swapped().restored()],
    );
}

#[test]
fn an_annotation_explains_no_other_module() {
    let edited = || at(1, "abcd", "ab", &[]).drops("cd").edited("example.com/env");
    check("abcd", vec![at(0, "abcd", "abcd", &[]), edited()]);
    let swapped = at(1, "abcd", "abcd", &[Module]).drops("cd").edited("example.com/env").swapped();
    check("abcd", vec![at(0, "abcd", "abcd", &[]), swapped]);
}

#[test]
fn an_annotation_that_takes_everything_away_may_be_a_typo() {
    let edited = || at(1, "abcd", "abcd", &[Annotation]).drops("abcd").edited("aeraki.net/protocol");
    check("abcd", vec![at(0, "abcd", "abcd", &[]), edited(), at(99_999, "abcd", "abcd", &[Annotation]).drops("abcd")]);
    let released = at(2, "abcd", "", &[]).drops("abcd").released(Release::All);
    check("abcd", vec![at(0, "abcd", "abcd", &[]), edited(), released]);
}

#[test]
fn another_service_replaces_the_old_one_when_it_has_endpoints() {
    let bench = || Bench::new("a", "ns/before").rebound("ns/now");
    bench().check(vec![at(0, "-", "a", &[Rebound]), at(99_999, "BC", "a", &[Rebound]), at(100_000, "b", "b", &[])]);
    bench().check(vec![at(0, "b", "b", &[])]);
    bench().check(vec![at(0, "-", "a", &[Rebound]), at(1, "-", "", &[]).released(Release::All)]);
}

#[test]
fn a_module_may_drop_a_tenth_of_what_is_listed_as_fit() {
    let ten = "abcdefghij";
    check(ten, vec![at(0, ten, ten, &[]), at(1, ten, "bcdefghij", &[]).drops("a")]);
    check(
        ten,
        vec![
            at(0, ten, ten, &[Module]).drops("ab"),
            at(1, ten, ten, &[Module]).drops("ab"),
            at(9_999_999, ten, ten, &[Module]).drops("ab"),
            at(9_999_999, "abcdefghijk", "abcdefghijk", &[Module]).drops("ab"),
            at(9_999_999, ten, ten, &[]),
        ],
    );
    check("abcd", vec![at(0, "abcd", "abcd", &[Module]).drops("a")]);
    check("abcd", vec![at(0, "abcd", "abcd", &[Module]).drops("abcd")]);
    let mut bench = Bench::new("abcd", "ns/now");
    bench.settings.module_removal_limit = "100%".parse().unwrap();
    bench.check(vec![at(0, "abcd", "", &[]).drops("abcd")]);
}

#[test]
fn a_tenth_and_another_tenth_are_two() {
    let ten = "abcdefghij";
    check(
        ten,
        vec![
            at(0, ten, "bcdefghij", &[]).drops("a"),
            at(1, ten, "bcdefghij", &[Module]).drops("ab"),
            at(2, ten, "bcdefghij", &[]).drops("a"),
            // One that is given again does not count any more.
            at(3, ten, ten, &[]),
            at(4, ten, "acdefghij", &[]).drops("b"),
        ],
    );
}

#[test]
fn during_a_modules_hold() {
    check(
        "abcd",
        vec![
            at(0, "abcd", "abcd", &[Module]).drops("ab"),
            // Isolated instances go; vanished ones go by the rows for that.
            at(1, "Abcd", "bcd", &[Module]).drops("b"),
            at(2, "cd", "cd", &[]),
        ],
    );
    check(
        "abcd",
        vec![
            at(0, "abcd", "abcd", &[Module]).drops("ab"),
            at(1, "", "abcd", &[Empty]),
            at(2, "abcd", "abcd", &[Module]).drops("ab"),
        ],
    );
}

#[test]
fn what_an_operators_change_explains_goes_at_once() {
    let steps = |annotation| {
        vec![
            at(0, "abcd", "abcd", &[]),
            at(1, "abcd", "abcd", &[Module]).drops("a"),
            // An earlier drop is not explained by it.
            at(2, "abcd", "ab", &[Module]).drops("acd").edited(annotation),
            at(3, "abcd", "ab", &[Module]).drops("bcd"),
        ]
    };
    check("abcd", steps("example.com/env"));
    for no_rule in [
        "aeraki.net/removalHold",
        "aeraki.net/paused",
        "aeraki.net/dns",
        "aeraki.net/revision",
        "polaris2istio.aeraki.net/note",
        "kubectl.kubernetes.io/last-applied-configuration",
    ] {
        let edited = at(1, "abcd", "abcd", &[Module]).drops("cd").edited(no_rule);
        check("abcd", vec![at(0, "abcd", "abcd", &[]), edited]);
    }
    check("abcd", vec![at(0, "abcd", "abcd", &[Module]).drops("cd").edited("example.com/env")]);
}

#[test]
fn a_person_releases_or_promotes() {
    check(
        "abcd",
        vec![
            at(0, "abcd", "abcd", &[Module]).drops("ab"),
            at(1, "abcd", "cd", &[]).drops("ab").released(Release::All),
            at(2, "abcd", "cd", &[]).drops("ab"),
            at(3, "abcd", "cd", &[Module]).drops("abc"),
        ],
    );
    check(
        "abcd",
        vec![
            at(0, "abcd", "abcd", &[Module]).drops("ab"),
            at(1, "abcd", "cd", &[]).drops("ab").promoted(),
            at(2, "abcd", "cd", &[Module]).drops("abc"),
        ],
    );
    // A promotion is of one module: what the one before drops until then stays.
    check(
        "abcd",
        vec![
            at(0, "abcd", "abcd", &[Module]).drops("ab"),
            at(1, "abcd", "abcd", &[Module]).drops("ab").next_promoted(),
            at(2, "abcd", "bcd", &[]).drops("a").swapped(),
            at(3, "abcd", "bcd", &[Module]).drops("ab"),
        ],
    );
    check("abcd", vec![at(0, "a", "abcd", &[Removal]), at(1, "a", "a", &[]).released(Release::All)]);
    check("ab", vec![at(0, "", "ab", &[Empty]), at(1, "", "", &[]).released(Release::All), at(2, "", "", &[])]);
    // An endpoint released for the fleet's sake alone stays held for another reason.
    check("ab", vec![at(0, "", "ab", &[Empty]), at(1, "", "ab", &[Empty]).released(Release::Fleet)]);
}
