"""How much more often images come under new conditions than among held-out ones, estimated by a classifier."""

import numpy as np

_COMPONENTS = 16
_IMAGES_EACH = 10  # for each component, at least
_FOLDS = 5


class DensityRatio:
    """The density of one set of feature vectors over that of another, from logistic regression on principal components.

    Args:
        features: `(N, width)` of images that were held out.
        target: `(M, width)` of images under new conditions.

    Attributes:
        auroc: How well the classifier tells the two apart, cross-validated: 0.5 where nothing has shifted.

    Source: Sugiyama, Suzuki, Kanamori, "Density Ratio Estimation in Machine Learning", 2012, chapter 4.
    """

    def __init__(self, features: np.ndarray, target: np.ndarray) -> None:
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        least = min(len(features), len(target))
        if least < 2 * _IMAGES_EACH:
            raise ValueError(
                f"A density ratio takes at least {2 * _IMAGES_EACH} images of either kind. "
                f"Received: {len(features)} and {len(target)}"
            )
        both = np.concatenate([features, target]).astype(np.float64)
        is_target = np.repeat([0, 1], [len(features), len(target)])
        components = min(_COMPONENTS, both.shape[1], least // _IMAGES_EACH)
        classifier = make_pipeline(
            StandardScaler(), PCA(components, svd_solver="full"), StandardScaler(), LogisticRegression(max_iter=1000)
        )
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        told = cross_val_predict(classifier, both, is_target, cv=folds, method="decision_function")
        self.auroc = float(roc_auc_score(is_target, told))
        self._classifier = classifier.fit(both, is_target)
        self._largest = float(self._classifier.decision_function(both).max())

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the ratio, up to a factor, float64 `(N,)`, of features `(N, width)`: at most the largest of the fit's own."""
        logits = self._classifier.decision_function(np.asarray(features, np.float64))
        return np.asarray(np.exp(np.minimum(logits, self._largest)))
