"""The imports that users know, as printed; they work forever."""


def test_the_documented_imports():
    from zoobot.pytorch.training import losses
    from zoobot.shared import label_metadata, schemas

    question_answer_pairs = label_metadata.decals_pairs
    dependencies = label_metadata.gz2_and_decals_dependencies
    schema = schemas.Schema(question_answer_pairs, dependencies)
    multiquestion_loss = losses.get_multiquestion_loss(schema.question_index_groups)

    assert (len(schema.questions), len(schema.answers)) == (10, 34)
    assert callable(multiquestion_loss)


def test_the_module_paths():
    from zoobot.pytorch.estimators.define_model import ZoobotTree
    from zoobot.pytorch.predictions.predict_on_catalog import predict
    from zoobot.pytorch.training.finetune import (
        FinetuneableZoobotClassifier,
        FinetuneableZoobotRegressor,
        FinetuneableZoobotTree,
        get_trainer,
    )
    from zoobot.pytorch.training.representations import ZoobotEncoder
    from zoobot.pytorch.training.train_with_pytorch_lightning import train
    from zoobot.shared.label_metadata import gz2_dependencies, gz2_pairs

    finetuneable = [FinetuneableZoobotClassifier, FinetuneableZoobotRegressor, FinetuneableZoobotTree]
    assert all(map(callable, [ZoobotTree, ZoobotEncoder, predict, train, get_trainer, *finetuneable]))
    assert list(gz2_pairs) == list(gz2_dependencies)
