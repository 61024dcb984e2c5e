"""A grid search with scikit-learn
===============================

``CNNClassifier`` is a normal estimator: it works in pipelines, cross-validation and grid searches. Here three learning
rates and two networks are compared on the digits, each by its accuracy on held-out images.
"""

import sys

from sklearn.model_selection import GridSearchCV

from xpcnn import data
from xpcnn.sklearn import CNNClassifier

tiny = "--tiny" in sys.argv
digits = data.digits()
train = digits.train.take(400) if tiny else digits.train

search = GridSearchCV(
    CNNClassifier(epochs=4 if tiny else 12, random_state=0),
    {"model": ["mlp", "mnist_cnn"], "lr": [0.003] if tiny else [0.001, 0.003, 0.01]},
    cv=2 if tiny else 3,
)
search.fit(train.images, train.labels)

# %%
# The result of each:

for setting, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{setting['model']:<10} lr {setting['lr']:<6} accuracy {score:.1%}")

# %%
# The best one has been trained on all training images; the test images have not been used so far.

accuracy = search.score(digits.test.images, digits.test.labels)
print(f"best: {search.best_params_}, test accuracy {accuracy:.1%}")
assert accuracy > 0.85
