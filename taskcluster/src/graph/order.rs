//! Dependency order and circles, both in time linear in tasks and edges.

/// How far each node is from those that need nothing: one more than the farthest of what it needs. `None` for a node
/// that is part of a circle or needs one.
pub(super) fn levels(needs: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut dependents = vec![Vec::new(); needs.len()];
    for (at, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| dependents[*need].push(at));
    }
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut levels = vec![None; needs.len()];
    let mut ready: Vec<usize> = (0..needs.len()).filter(|at| missing[*at] == 0).collect();
    let mut level = 0;
    while !ready.is_empty() {
        let mut next = Vec::new();
        for at in ready {
            levels[at] = Some(level);
            for dependent in &dependents[at] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    next.push(*dependent);
                }
            }
        }
        ready = next;
        level += 1;
    }
    levels
}

/// A circle of each knot: of each set of nodes that all need each other. It begins and ends with its first node.
pub(super) fn circles(needs: &[Vec<usize>], levels: &[Option<usize>]) -> Vec<Vec<usize>> {
    let knots = knots(needs, levels);
    let mut done = vec![false; needs.len()];
    let mut circles = Vec::new();
    for first in 0..needs.len() {
        let Some(knot) = knots[first] else { continue };
        let within = |at: &&usize| knots[**at] == Some(knot);
        // A knot's only node counts as one if it needs itself.
        if done[knot] || needs[first].iter().find(within).is_none() {
            continue;
        }
        done[knot] = true;
        let mut place = std::collections::HashMap::new();
        let mut path = vec![first];
        while let Some(next) = path.last().and_then(|last| needs[*last].iter().find(within)) {
            place.insert(path[path.len() - 1], path.len() - 1);
            path.push(*next);
            if let Some(begin) = place.get(next) {
                circles.push(path.split_off(*begin));
                break;
            }
        }
    }
    circles
}

/// Tarjan's strongly connected components of what has no level, each named by one of its nodes. The stack is a list
/// of our own: a chain of 100,000 tasks must not end the program.
fn knots(needs: &[Vec<usize>], levels: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut knots = vec![None; needs.len()];
    let mut found: Vec<Option<usize>> = vec![None; needs.len()];
    let mut lowest = vec![0; needs.len()];
    let mut open = Vec::new();
    let mut count = 0;
    for root in (0..needs.len()).filter(|at| levels[*at].is_none()) {
        if found[root].is_some() {
            continue;
        }
        let mut path = vec![(root, 0)];
        while let Some((at, edge)) = path.pop() {
            if edge == 0 {
                found[at] = Some(count);
                lowest[at] = count;
                count += 1;
                open.push(at);
            }
            if let Some(next) = needs[at].get(edge) {
                path.push((at, edge + 1));
                match found[*next] {
                    _ if levels[*next].is_some() || knots[*next].is_some() => {}
                    Some(when) => lowest[at] = lowest[at].min(when),
                    None => path.push((*next, 0)),
                }
                continue;
            }
            if found[at] == Some(lowest[at]) {
                while let Some(member) = open.pop() {
                    knots[member] = Some(at);
                    if member == at {
                        break;
                    }
                }
            }
            if let Some((parent, _)) = path.last() {
                lowest[*parent] = lowest[*parent].min(lowest[at]);
            }
        }
    }
    knots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(needs: &[&[usize]]) -> Vec<Vec<usize>> {
        let needs: Vec<Vec<usize>> = needs.iter().map(|needs| needs.to_vec()).collect();
        circles(&needs, &levels(&needs))
    }

    #[test]
    fn every_knot_gives_one_circle_and_what_leads_to_it_is_left_out() {
        assert_eq!(told(&[&[], &[0], &[0, 1]]), Vec::<Vec<usize>>::new());
        assert_eq!(told(&[&[1], &[2], &[3], &[1], &[4], &[5, 0, 6], &[5]]), [vec![1, 2, 3, 1], vec![4, 4], vec![5, 5]]);
    }

    #[test]
    fn a_bridge_between_knots_belongs_to_neither() {
        assert_eq!(told(&[&[1], &[0, 2], &[3], &[4], &[3]]), [vec![0, 1, 0], vec![3, 4, 3]]);
    }

    #[test]
    fn a_long_circle_is_told_whole() {
        let needs: Vec<Vec<usize>> = (0..100_000).map(|at| vec![(at + 1) % 100_000]).collect();
        assert_eq!(circles(&needs, &levels(&needs))[0].len(), 100_001);
    }
}
