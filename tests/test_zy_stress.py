import random
from tests.test_models import *
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("r", range(12))
@pytest.mark.parametrize("model", WITH_DEFAULT)
@pytest.mark.parametrize("empty", [False, True])
def test_s(make, model, r, empty):
    if not empty or model is not Account: 
        a=make(Account,"f")
    values = {} if model is Account else {"account": a}
    rows=[model(name=f"r{n}", sid=f"{PREFIXES[model]}{n:032}", is_default=n%2==0, **values) for n in range(12)]
    e=at_once(*(row.save for row in rows))
    if e: print("CREATE", model.__name__, empty, len(e), type(e[0]).__name__, str(e[0])[:90])
    assert len(defaults(model))==1
    rows=list(model.objects.all())
    for row in rows: row.is_default=random.random()<.6
    e=at_once(*(row.save for row in rows))
    if e: print("SAVE", model.__name__, empty, len(e), type(e[0]).__name__, str(e[0])[:90])
    assert len(defaults(model))<=1
