"""From a run and a protocol to results: seeds, labelled subsets, scores that can be added up, classifiers that can be used."""
