import pytest

import zoo
from tests.conftest import run_python


def test_families_and_tasks_are_known_by_name():
    assert "seq2seq" in zoo.families()
    assert zoo.tasks() == sorted(zoo.tasks())


def test_tasks_can_be_listed_after_the_package_was_imported():
    import zoo.tasks.task

    assert zoo.tasks() == sorted(zoo.tasks.task.TASKS)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'loda'"):
        _ = zoo.loda


def test_load_and_client_come_from_their_rooms():
    code = """
        import zoo
        print(zoo.load.__module__, zoo.Client.__module__)
        """
    assert run_python(code).split() == ["zoo.export.loaded", "zoo.serving.client"]
