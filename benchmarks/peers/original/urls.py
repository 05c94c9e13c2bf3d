"""The API: a serializer and a view set of all fields, as a tutorial writes them."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from benchmarks.peers.original.models import Watch


class WatchSerializer(ModelSerializer):
    """A watch, as it is sent and answered."""

    class Meta:
        """All fields of the model."""

        model = Watch
        fields = "__all__"


class WatchViewSet(ModelViewSet):
    """List, create, read, update and delete."""

    queryset = Watch.objects.all()
    serializer_class = WatchSerializer


router = DefaultRouter(trailing_slash=False)
router.register("watches", WatchViewSet)
urlpatterns = [path("", include(router.urls))]
